"""Cross-validation pooled: every image once a repeat, figures as by hand, intervals that respect groups."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import fit_folds, refused, run_cli, write_png, write_recipe

from bioclass.metrics import evaluate
from bioclass.run import open_folds

ADAPTER = """
import numpy as np
from bioclass import Samples

def load(card, root):
    # 24 slides of four images that are all but the same: a slide is right or wrong as a whole.
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(24) % 2, 4)
    slides = rng.uniform(0, 1, (24, 6, 6)) + 0.12 * (np.arange(24) % 2)[:, None, None]
    images = (200 * (np.repeat(slides, 4, axis=0) / 1.2)).astype("uint8")
    groups = np.repeat(np.arange(24), 4) if card.group else None
    parts = ["train"] * 64 + ["test"] * 32 if card.name == "official" else None
    samples = Samples(images=images, labels=labels, groups=groups, parts=parts)
    return samples.checked(card.class_names).take(np.arange(20)) if card.name == "few" else samples
"""
CARD = 'name = "{}"\ntitle = "Cells"\nclasses = ["benign", "malignant"]\n{}'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("pooled")
    for name, group in (
        ("slides", 'group = "slide"\n'),
        ("few", 'group = "slide"\n'),
        ("plain", ""),
        ("official", ""),
    ):
        (home / f"{name}.toml").write_text(CARD.format(name, group))
        (home / f"{name}.py").write_text(ADAPTER)
        (home / "recipes").mkdir(exist_ok=True)
        write_recipe(home / "recipes" / f"{name}.toml", name, "[split]\nvalidation = 0.3\n")
    return home


def folds(home, name, *settings, into=None):
    folder, recipe = home / (into or name), home / "recipes" / f"{name}.toml"
    fixed = ("preprocess.standardise=true", "fit.epochs=12")
    return fit_folds(recipe, folder, *fixed, *settings, shelf=(home,))


@pytest.fixture(scope="module")
def slides(home) -> Path:
    """Three folds of grouped images; never change them."""
    return folds(home, "slides", "split.folds=3", into="runs-slides")


@pytest.fixture(scope="module")
def repeated(home) -> Path:
    """Two folds, twice, of images without groups; never change them."""
    return folds(home, "plain", "split.folds=2", "split.repeats=2", into="runs-repeated")


def pooled(home, *paths):
    result = run_cli("evaluate", *paths, "--path", home, "--json")
    assert result.status == 0, result.err
    return json.loads(result.out)


def rows(folder, part="test"):
    with (folder / "evaluation" / part / "predictions.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_pooled_as_by_hand(home, slides):
    found = pooled(home, slides)["models"][0]
    table = rows(slides)
    assert [row["id"] for row in table] == [f"{i:02}" for i in range(96)]  # each once, in the order of the data
    for number, run in enumerate(open_folds(slides).runs()):
        alone = rows(run.path)  # as the fold's own evaluation wrote it
        mine = [row for row in table if row["fold"] == str(number)]
        assert [row["id"] for row in mine] == [row["id"] for row in alone]
        assert [row["predicted"] for row in mine] == [row["predicted"] for row in alone]
        assert np.allclose(
            [float(row["p_benign"]) for row in mine], [float(row["p_benign"]) for row in alone], atol=1e-6
        )
        right = np.mean([row["predicted"] == row["true"] for row in alone])
        assert found["by_fold"][number]["accuracy"] == pytest.approx(right)
        assert found["by_fold"][number]["n"] == len(alone)
    shares = [row["accuracy"] for row in found["by_fold"]]
    assert found["accuracy"]["value"] == pytest.approx(np.mean([row["predicted"] == row["true"] for row in table]))
    assert found["over_folds"]["accuracy"]["mean"] == pytest.approx(np.mean(shares))
    assert found["over_folds"]["accuracy"]["deviation"] == pytest.approx(np.std(shares, ddof=1))
    assert (found["n"], found["images"], found["groups"], found["part"]) == (96, 96, 24, "test")
    assert json.loads((slides / "evaluation/test/metrics.json").read_text()) == found
    [listed] = [row for row in json.loads(run_cli("runs", home, "--json").out) if row["run"] == str(slides)]
    assert listed["accuracy"] == found["accuracy"] and listed["state"] == "3 of 3 folds finished"
    assert "benign" in (slides / "evaluation/test/confusion.csv").read_text()


def test_intervals_respect_groups(home, slides):
    found = pooled(home, slides)["models"][0]
    table = rows(slides)
    names = ["benign", "malignant"]
    labels = [names.index(row["true"]) for row in table]
    alone = evaluate(labels, [[float(row[f"p_{name}"]) for name in names] for row in table], names)
    assert 0 < found["accuracy"]["value"] < 1
    for figure in ("accuracy", "balanced_accuracy", "mcc"):
        plain, grouped = alone.overall[figure], found[figure]
        assert grouped["value"] == pytest.approx(plain.value)
        # Four images a slide that agree: twice as wide, but for chance.
        assert grouped["high"] - grouped["low"] > 1.4 * (plain.high - plain.low)


def test_repeats_are_no_new_images(home, repeated):
    found = pooled(home, repeated)["models"][0]
    table = rows(repeated)
    assert [row["repeat"] for row in table] == ["0"] * 96 + ["1"] * 96
    assert [row["id"] for row in table[:96]] == [row["id"] for row in table[96:]]
    assert (found["n"], found["images"], found["repeats"], len(found["by_fold"])) == (192, 96, 2, 4)
    # As wide as 96 images make it, not narrower by a root of two for being tested twice.
    width = found["accuracy"]["high"] - found["accuracy"]["low"]
    share = found["accuracy"]["value"]
    assert width > 0.75 * 2 * 1.96 * np.sqrt(share * (1 - share) / 96)


def test_one_slide_left_out_at_a_time(home):
    """A fold of one class alone defines no AUC; its figures are told as far as they are defined."""
    folder = folds(home, "few", "split.folds=groups", "split.validation=0", into="runs-few")
    found = pooled(home, folder)["models"][0]
    assert [row["group"] for row in found["by_fold"]] == ["0", "1", "2", "3", "4"]
    assert all(row["n"] == 4 for row in found["by_fold"])
    printed = run_cli("evaluate", folder, "--path", home)
    assert printed.status == 0 and "fold-4: 4" in printed.out and "20 images in 5 groups" in printed.out


def test_what_is_printed(home, slides, repeated):
    result = run_cli("evaluate", slides, "--path", home)
    assert result.status == 0, result.err
    assert f"{slides}, 3 folds pooled: 96 images in 24 groups, with 95 % intervals" in result.out
    assert "Each fold alone" in result.out and f"Files: {slides / 'evaluation' / 'test'}" in result.out
    result = run_cli("evaluate", repeated, "--path", home)
    assert "4 folds pooled: 96 images, each tested 2 times, with" in result.out


def test_several_are_compared_on_the_same_images(home, slides, repeated):
    other = folds(home, "slides", "split.folds=4", "seed=5", "fit.epochs=4", into="runs-other")
    document = pooled(home, slides, other)
    first, second = (model["accuracy"]["value"] for model in document["models"])
    [pair] = document["comparisons"]
    assert pair["difference"]["value"] == pytest.approx(first - second)
    assert pair["p"] is not None and pair["a"] == str(slides)
    printed = run_cli("evaluate", slides, other, "--path", home).out
    assert "Do they differ? (the interval respects groups, McNemar's test does not)" in printed
    # Where an image is tested twice it is neither right nor wrong.
    [pair] = pooled(home, slides, repeated)["comparisons"]
    assert pair["p"] is None and pair["difference"]["low"] < pair["difference"]["high"]


@pytest.fixture(scope="module")
def official(home) -> Path:
    """Two folds of a dataset with an official test part; never change them."""
    return folds(home, "official", "split.folds=2", into="runs-official")


def test_an_official_test_part_stays_out(home, official):
    found = pooled(home, official)["models"][0]
    assert (found["part"], found["n"]) == ("fold", 64)
    assert {row["id"] for row in rows(official, "fold")} == {f"{i:02}" for i in range(64)}
    single = run_cli("evaluate", official / "fold-0", "--path", home, "--json")
    assert json.loads(single.out)["models"][0]["n"] == 32
    assert "different images" in refused("evaluate", official, home / "runs-slides", "--path", home)


def test_the_folds_are_one_model_on_an_official_test_part(home, official):
    members = [official / "fold-0", official / "fold-1"]
    result = run_cli("evaluate", official, *members, "--part", "test", "--path", home, "--json")
    assert result.status == 0, result.err
    together, *alone = json.loads(result.out)["models"]
    assert together["run"] == str(official) and together["n"] == 32 and len(alone) == 2
    tables = [np.array([float(row["p_benign"]) for row in rows(path)]) for path in (official, *members)]
    assert np.allclose(tables[0], (tables[1] + tables[2]) / 2, atol=1e-12)
    predicted = [row["predicted"] for row in rows(official)]
    assert predicted == ["benign" if p > 0.5 else "malignant" for p in tables[0]]


def test_prediction_averages_the_folds(home, slides, tmp_path):
    for number, level in enumerate((40, 90, 140)):
        write_png(tmp_path / f"{number}.png", np.full((6, 6), level, np.uint8))
    (tmp_path / "3.png").write_text("no image")
    tables = []
    for model in (slides, *(slides / f"fold-{number}" for number in range(3))):
        result = run_cli("predict", model, tmp_path, "--json")
        assert result.status == 0 and "1 of 4 could not be used" in result.err
        images = json.loads(result.out)["images"]
        tables.append(np.array([[row["p_benign"], row["p_malignant"]] for row in images]))
        assert [row["class"] for row in images] == [("benign", "malignant")[k] for k in tables[-1].argmax(axis=1)]
    assert np.ptp([table[0, 0] for table in tables[1:]]) > 1e-4  # the folds differ
    assert np.allclose(tables[0], np.mean(tables[1:], axis=0), atol=1e-12)
    assert "--answers is for a single run" in refused("predict", slides, tmp_path, "--answers")


def test_folds_that_tested_every_image_are_no_model_to_test(home, slides, official):
    from bioclass.errors import RunError
    from bioclass.evaluate import evaluate_runs
    from bioclass.shelf import Shelf

    with pytest.raises(RunError, match="what each held out is pooled"):
        evaluate_runs([slides], Shelf.of((home,)))
    assert "have no validation part" in refused(
        "evaluate", official, "--part", "test", "--calibrate", "--path", home
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--calibrate"], "--calibrate is not for pooled folds"),
        (["--error-rate", "0.1"], "--error-rate is not for pooled folds"),
        (["--snapshots"], "--snapshots is not for pooled folds"),
        (["--part", "validation"], "have different validation parts"),
        (["--part", "tset"], "Got 'tset'"),
    ],
)
def test_what_folds_do_not_have(home, slides, options, says):
    assert says in refused("evaluate", slides, "--path", home, *options)


def test_runs_and_folds_are_not_mixed(home, slides):
    assert "more than once" in refused("evaluate", slides, slides, "--path", home)
    assert "does not: what they held out" in refused("evaluate", slides, slides / "fold-0", "--path", home)


def test_a_damaged_or_missing_fold_is_one_sentence(home, slides, tmp_path):
    shutil.copytree(slides, tmp_path / "copy")
    split = tmp_path / "copy" / "fold-1" / "split.csv"
    split.write_text(split.read_text().replace("train", "test", 1))
    assert str(split) in refused("evaluate", tmp_path / "copy", "--path", home)
    shutil.rmtree(tmp_path / "copy" / "fold-1")
    assert "1 of the 3 folds" in refused("evaluate", tmp_path / "copy", "--path", home)
