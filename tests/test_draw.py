"""``bioclass draw``: from recipes and runs to figures."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, pictures, refused, run_cli, write_folder, write_recipe
from PIL import Image
from test_report_errors import write_predictions

STEPS = 'augment.steps=[{name="rotation",angles=[10]},{name="translation"}]'


def comments(file: Path) -> list[str]:
    """The texts of an SVG figure: matplotlib writes each also as a comment."""
    lines = file.read_text(encoding="utf-8").split("<!-- ")[1:]
    return [line.split(" -->")[0] for line in lines]


# Variants


def test_a_recipe_without_steps_gets_the_studys_figure(tiny: SimpleNamespace, tmp_path: Path) -> None:
    result = run_cli("draw", "variants", tiny.recipe, "--out", tmp_path / "figure.svg")
    assert result.status == 0, result.err
    file, caption = result.out.splitlines()
    assert file == str(tmp_path / "figure.svg")
    assert "training images as they are, and after centering to 9 × 9 px; elastic deformation" in caption
    texts = comments(tmp_path / "figure.svg")
    titles = [text for text in texts if text in ("original", "centering", "elastic", "translation", "rotation")]
    assert titles == ["original", "centering", "elastic", "translation", "rotation"]
    assert [text for text in texts if text.startswith("class")] == ["class0", "class1", "class2"]
    assert (tmp_path / "figure.svg").read_text().count("<image ") == 15


def test_a_recipes_own_steps_are_drawn(tiny: SimpleNamespace, tmp_path: Path) -> None:
    args = ["draw", "variants", tiny.recipe, "--set", STEPS, "--set", 'augment.mode="enumerated"']
    more = ["--images", 2, "--class", "class1", "--variants", 4, "--out", tmp_path / "a.svg"]
    result = run_cli(*args, *more)
    assert result.status == 0, result.err
    texts = comments(tmp_path / "a.svg")
    assert [text for text in texts if text.startswith("class")] == ["class1", "class1"]
    # Above the chain stands what tells its variants apart; the angle is one for all.
    assert texts.count("3 px left") == 2 and texts.count("10°") == 1
    # Original, one angle, four directions, four of the chain; two rows.
    assert (tmp_path / "a.svg").read_text().count("<image ") == 2 * (1 + 1 + 4 + 4)


def test_the_same_command_gives_the_same_file_and_another_seed_other_images(
    tiny: SimpleNamespace, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for file, seed in zip(files, (0, 0, 1), strict=True):
        assert run_cli("draw", "variants", tiny.recipe, "--set", f"seed={seed}", "--out", file).status == 0
    a, b, c = (file.read_bytes() for file in files)
    assert a == b and a != c


def test_many_channels_and_deep_images_say_how_they_are_seen(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 4000, (36, 16, 20, 5)).astype(np.uint16)
    write_folder(tmp_path / "pics", images, suffix=".npy", write=np.save)
    recipe = write_recipe(tmp_path / "r.toml", "pics")
    result = run_cli("draw", "variants", recipe, "--set", STEPS, "--out", tmp_path / "a.svg")
    assert result.status == 0, result.err
    note = "Shown is the mean of the 5 channels, each brought to the same range."
    assert note in result.out and note in comments(tmp_path / "a.svg")
    run = fit(recipe, tmp_path / "run")
    write_predictions(run, {0: "class1"})
    result = run_cli("draw", "errors", "--ensemble", f"Net={run}", "--out", tmp_path / "e.svg")
    assert result.status == 0 and note in result.out, result.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--out", "a.pdf"], "let the name end in .png or .svg"),
        (["--images", 0], "--images wants a number of rows from 1 to 40. Got 0"),
        (["--variants", 99], "--variants wants"),
        (["--class", "clas1"], "did you mean 'class1'?"),
        (["--set", "augment.stepps=[]"], "did you mean"),
        (["--set", 'augment.steps=[{name="stain"}]'], "The step 'stain' wants RGB images"),
        (["--root", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_a_sentence_and_draws_nothing(
    tiny: SimpleNamespace, tmp_path: Path, args: list[object], said: str
) -> None:
    assert said in refused("draw", "variants", tiny.recipe, *args, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


# Errors


@pytest.fixture
def runs(tiny: SimpleNamespace, tmp_path: Path) -> list[Path]:
    """Copies of three runs; the first two are evaluated and wrong in some images, the third is not evaluated."""
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for source, folder in zip(tiny.runs, folders, strict=True):
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("evaluation"))
    # The test part has 12 images, four of each class in turn.
    write_predictions(folders[0], {1: "class2", 5: "class0", 11: "class0"})
    write_predictions(folders[1], {5: "class2", 6: "class0"})
    return folders


def test_the_errors_of_one_run(runs: list[Path], tmp_path: Path) -> None:
    result = run_cli("draw", "errors", "--ensemble", f"Net={runs[0]}", "--out", tmp_path / "e.svg")
    assert result.status == 0, result.err
    *files, caption = result.out.splitlines()
    assert files == [str(tmp_path / "e.svg"), str(tmp_path / "e.csv")]
    assert caption.startswith("3 of 12 test images (Images of the folder pics) are misclassified by Net (1 run):")
    seen = [text for text in comments(tmp_path / "e.svg") if "Net(class" in text]
    assert seen == ["class0, Net(class2)", "class1, Net(class0)", "class2, Net(class0)"]


def test_the_figure_shows_the_images_that_are_listed(tmp_path: Path) -> None:
    """The right pictures, by the levels of gray that tell these images apart."""
    levels = np.arange(10, 250, 4)
    write_folder(tmp_path / "pics", np.broadcast_to(levels[:, None, None], (60, 12, 12)).astype(np.uint8))
    run = fit(write_recipe(tmp_path / "r.toml", "pics"), tmp_path / "run")
    write_predictions(run, {0: "class1", 7: "class0"})
    result = run_cli("draw", "errors", "--ensemble", f"Net={run}", "--out", tmp_path / "e.png")
    assert result.status == 0, result.err
    with (tmp_path / "e.csv").open(newline="") as stream:
        ids = [row["id"] for row in csv.DictReader(stream)]
    assert len(ids) == 2
    with Image.open(tmp_path / "e.png") as image:
        page = np.asarray(image.convert("L"))
    values, counts = np.unique(page, return_counts=True)
    common = {int(value) for value, count in zip(values, counts, strict=True) if count > 5000} - {255}
    expected = {int(levels[20 * int(name[5]) + int(name.split("/")[1][:2])]) for name in ids}
    assert common == expected


def test_two_ensembles_and_what_both_get_wrong(runs: list[Path], tmp_path: Path) -> None:
    ensembles = ["--ensemble", f"Net={runs[0]}", "--ensemble", f"DC={runs[1]}"]
    result = run_cli("draw", "errors", *ensembles, "--out", tmp_path / "e.svg")
    assert result.status == 0, result.err
    assert "* 1 are also misclassified by DC (1 run)." in result.out
    texts = [text for text in comments(tmp_path / "e.svg") if "DC(class" in text]
    assert texts == ["DC(class0)", "DC(class2)*", "DC(class2)"]
    result = run_cli("draw", "errors", *ensembles, "--both", "--out", tmp_path / "both.svg")
    assert result.out.splitlines()[-1].startswith("1 of 12 test images")
    assert [text for text in comments(tmp_path / "both.svg") if "DC(class" in text] == ["DC(class2)"]
    with (tmp_path / "both.csv").open(newline="") as stream:
        assert [(row["true"], row["Net"], row["DC"]) for row in csv.DictReader(stream)] == [
            ("class1", "class0", "class2")
        ]


def test_runs_vote_and_those_not_evaluated_are_evaluated(runs: list[Path], tmp_path: Path) -> None:
    ensemble = "Net=" + ",".join(map(str, runs))
    result = run_cli("draw", "errors", "--ensemble", ensemble, "--vote", "MV", "--out", tmp_path / "e.png")
    assert result.status == 0, result.err
    assert f"Evaluating {runs[2]}" in result.err and str(runs[0]) not in result.err
    assert (runs[2] / "evaluation" / "test" / "predictions.csv").is_file()
    # Two of three outvote the first run's errors, where the third is right.
    assert int(result.out.splitlines()[-1].split()[0]) < 3 and "(3 runs, MV)" in result.out


def test_predictions_of_older_weights_are_made_again(runs: list[Path], tmp_path: Path) -> None:
    manifest = runs[0] / "best" / "manifest.json"
    manifest.touch()
    result = run_cli("draw", "errors", "--ensemble", f"Net={runs[0]}", "--out", tmp_path / "e.png")
    assert result.status == 0 and f"Evaluating {runs[0]}" in result.err


def test_no_errors_draw_nothing(runs: list[Path], tmp_path: Path) -> None:
    write_predictions(runs[0])
    result = run_cli("draw", "errors", "--ensemble", f"Net={runs[0]}", "--out", tmp_path / "e.png")
    assert result.status == 0
    assert result.out.startswith("0 of 12 test images") and "nothing was written" in result.out
    assert not list(tmp_path.glob("e.*"))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--vote", "MVP"], "--vote is one of MV, MPS, MP. Got 'MVP'"),
        (["--both"], "--both wants two ensembles"),
        (["--part", "tests"], "Got 'tests'"),
        (["--ensemble", "Net={b}"], "Both ensembles are called 'Net'"),
        (["--ensemble", "A={b}", "--ensemble", "B={b}"], "Give one or two ensembles"),
        (["--ensemble", "DC={home}/nowhere"], "There is no run folder"),
        (["--ensemble", "DC"], "--ensemble wants NAME=RUN"),
        (["--out", "a.gif"], "let the name end in .png or .svg"),
        (["--root", "{home}/more"], "The data is not what"),
    ],
)
def test_a_wrong_request_is_a_sentence(runs: list[Path], tmp_path: Path, args: list[str], said: str) -> None:
    write_folder(tmp_path / "more", pictures(each=21))
    filled = [arg.format(b=runs[1], home=tmp_path) for arg in args]
    before = sorted(tmp_path.iterdir())
    assert said in refused("draw", "errors", "--ensemble", f"Net={runs[0]}", *filled, cwd=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_runs_of_different_test_images_are_refused(tiny: SimpleNamespace, runs: list[Path], tmp_path: Path) -> None:
    other = fit(tiny.recipe, tmp_path / "other", "--set", "split.seed=5")
    said = refused("draw", "errors", "--ensemble", f"Net={runs[0]}", "--ensemble", f"DC={other}", cwd=tmp_path)
    assert "have different images in their test parts" in said
    write_folder(tmp_path / "four", pictures(classes=4, each=20), classes=4)
    fourth = fit(tiny.recipe, tmp_path / "fourth", "--set", f'dataset="{tmp_path / "four"}"')
    said = refused("draw", "errors", "--ensemble", f"Net={runs[0]},{fourth}", cwd=tmp_path)
    assert "have different classes" in said
    assert not list(tmp_path.glob("errors*"))
