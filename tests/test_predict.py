"""Prediction treats new images as those of the training, and lists what it cannot read."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from conftest import fit, pictures, refused, run_cli, write_folder, write_png, write_recipe
from sklearn.datasets import load_digits

from bioclass.answers import softmax
from bioclass.backend import mx
from bioclass.errors import RunError
from bioclass.predict import Predictor
from bioclass.preprocess import read_for
from bioclass.run import open_run

LENET = 'name = "lenet"\nfc1 = 16'


def write_npy(path: Path, image: np.ndarray) -> None:
    np.save(path, image)


def write_tiff(path: Path, image: np.ndarray) -> None:
    """Write channels first, as microscopes do."""
    tifffile.imwrite(path, np.moveaxis(image, -1, 0), metadata={"axes": "CYX"}, photometric="minisblack")


def probabilities(text: str, key: str) -> dict[str, list[str]]:
    """Return the probabilities of a CSV as text, by the value of a column."""
    rows = list(csv.DictReader(io.StringIO(text)))
    return {row[key]: [value for name, value in row.items() if name.startswith("p_")] for row in rows}


@pytest.mark.parametrize(
    ("shape", "dtype", "suffix", "write", "settings"),
    [
        ((20, 20), "uint8", ".png", write_png, []),
        ((20, 20), "uint8", ".png", write_png, ["preprocess.standardise=true"]),
        ((24, 17), "uint8", ".png", write_png, ["preprocess.size=[20, 20]"]),
        ((24, 17), "uint8", ".png", write_png, ["preprocess.size=[20, 20]", 'preprocess.resize="pad"']),
        ((20, 20), "uint16", ".png", write_png, ["preprocess.standardise=true"]),
        ((20, 20, 3), "uint8", ".png", write_png, []),
        ((24, 24, 3), "uint8", ".png", write_png, ["preprocess.size=[20, 20]", "preprocess.standardise=true"]),
        ((20, 20, 5), "uint16", ".npy", write_npy, ["preprocess.size=[22, 22]"]),
        ((20, 20, 5), "float32", ".npy", write_npy, ["preprocess.standardise=true"]),
        ((20, 20, 5), "uint8", ".tif", write_tiff, []),
        ((24, 24, 5), "uint16", ".tif", write_tiff, ["preprocess.size=[20, 20]", "preprocess.standardise=true"]),
    ],
)
def test_predictions_equal_those_of_the_evaluation(
    tmp_path: Path,
    shape: tuple[int, ...],
    dtype: str,
    suffix: str,
    write: Callable[[Path, np.ndarray], None],
    settings: list[str],
) -> None:
    data = write_folder(tmp_path / "data", pictures(shape=shape, dtype=dtype), suffix=suffix, write=write)
    recipe = write_recipe(tmp_path / "recipe.toml", "data", network=LENET)
    more = [word for setting in settings for word in ("--set", setting)]
    run = fit(recipe, tmp_path / "run", *more, "--set", "fit.epochs=1")
    assert run_cli("evaluate", run).status == 0
    evaluated = probabilities((run / "evaluation/test/predictions.csv").read_text(), "id")
    files = [data / name for name in evaluated]
    result = run_cli("predict", run, *files)
    assert result.status == 0 and result.err == ""
    predicted = probabilities(result.out, "path")
    # As text, so to the last digit.
    assert predicted == {str(data / name): values for name, values in evaluated.items()}
    alone = probabilities(run_cli("predict", run, files[0]).out, "path")[str(files[0])]
    np.testing.assert_allclose(np.array(alone, float), np.array(predicted[str(files[0])], float), rtol=1e-5)


def test_digits_written_as_files_are_classified_as_from_the_dataset(digits: Path, tmp_path: Path) -> None:
    assert run_cli("evaluate", digits).status == 0
    evaluated = probabilities((digits / "evaluation/test/predictions.csv").read_text(), "id")
    images = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    for name in evaluated:
        write_png(tmp_path / f"{name}.png", images[int(name)])
    predicted = probabilities(run_cli("predict", digits, tmp_path).out, "path")
    assert {Path(path).stem: values for path, values in predicted.items()} == evaluated


def test_the_table(tiny: SimpleNamespace, tmp_path: Path) -> None:
    result = run_cli("predict", tiny.run, tiny.data / "class2", tiny.data / "class0" / "03.png")
    assert result.status == 0 and result.err == ""
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert list(rows[0]) == ["path", "class", "probability", "p_class0", "p_class1", "p_class2"]
    assert [row["path"] for row in rows] == [
        *(str(tiny.data / "class2" / f"{i:02}.png") for i in range(20)),
        str(tiny.data / "class0" / "03.png"),
    ]
    for row in rows:
        p = {name: float(row[f"p_{name}"]) for name in ("class0", "class1", "class2")}
        assert sum(p.values()) == pytest.approx(1)
        assert row["class"] == max(p, key=lambda name: p[name]) and float(row["probability"]) == max(p.values())


def test_a_file_that_is_named_twice_has_one_row(tiny: SimpleNamespace) -> None:
    folder = tiny.data / "class1"
    result = run_cli("predict", tiny.run, folder, folder / "00.png", folder)
    assert len(result.out.splitlines()) == 21


def test_files_that_cannot_be_used_are_listed_and_do_not_stop_the_others(
    tiny: SimpleNamespace, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(tiny.data / "class0", folder)
    (folder / "text.jpg").write_text("not an image")
    (folder / "zero.png").write_bytes(b"")
    (folder / "cut.png").write_bytes((folder / "00.png").read_bytes()[:60])
    write_png(folder / "rgb.png", np.arange(432, dtype=np.uint8).reshape(12, 12, 3))
    write_png(folder / "large.png", np.zeros((30, 30), np.uint8))
    write_png(folder / "deep.png", np.zeros((12, 12), np.uint16))
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (folder / "notes.txt").write_text("left alone")
    (tmp_path / "none").mkdir()
    bad = ["text.jpg", "zero.png", "cut.png", "rgb.png", "large.png", "deep.png", "objects.npy"]
    result = run_cli("predict", tiny.run, folder, tmp_path / "missing.png", tmp_path / "none")
    assert result.status == 0 and "Traceback" not in result.err
    assert len(result.out.splitlines()) == 21
    for path in (*(folder / name for name in bad), tmp_path / "missing.png", tmp_path / "none"):
        assert sum(str(path) in line for line in result.err.splitlines()) == 1, path
    assert "9 of 29 could not be used" in result.err
    assert "3 channel(s) (RGB), but 1 (gray)" in result.err and "30 x 30" in result.err

    document = json.loads(run_cli("predict", tiny.run, folder, tmp_path / "missing.png", "--json").out)
    assert len(document["images"]) == 20
    assert {Path(item["path"]).name for item in document["failed"]} == {*bad, "missing.png"}
    assert set(document["images"][0]) == {"path", "class", "probability", "p_class0", "p_class1", "p_class2"}


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_nothing_that_can_be_used_is_a_mistake(tiny: SimpleNamespace, tmp_path: Path, as_json: list[str]) -> None:
    (tmp_path / "text.png").write_text("not an image")
    result = run_cli("predict", tiny.run, tmp_path / "text.png", tmp_path / "missing.png", *as_json)
    assert result.status == 2 and result.out == ""
    assert "text.png is not an image" in result.err and "There is no file" in result.err
    assert result.err.endswith("bioclass: No image could be classified.\n")


def test_out(tiny: SimpleNamespace, tmp_path: Path) -> None:
    image = tiny.data / "class0" / "00.png"
    printed = run_cli("predict", tiny.run, image)
    result = run_cli("predict", tiny.run, image, "--out", tmp_path / "table.csv")
    assert result.status == 0 and result.out == "" and "Wrote 1 rows" in result.err
    assert (tmp_path / "table.csv").read_text() == printed.out
    both = run_cli("predict", tiny.run, image, "--out", tmp_path / "both.csv", "--json")
    assert (tmp_path / "both.csv").read_text() == printed.out
    assert json.loads(both.out)["images"][0]["path"] == str(image)


def test_a_place_for_the_table_that_is_none(tiny: SimpleNamespace, tmp_path: Path) -> None:
    image = tiny.data / "class0" / "00.png"
    assert "is a folder" in refused("predict", tiny.run, image, "--out", tmp_path)
    assert "there is no folder" in refused("predict", tiny.run, image, "--out", tmp_path / "no" / "table.csv")


def test_a_name_that_is_not_text(tiny: SimpleNamespace, tmp_path: Path) -> None:
    odd = tmp_path / "caf\udce9.png"
    try:
        shutil.copy(tiny.data / "class0" / "00.png", odd)
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    result = run_cli("predict", tiny.run, odd, "--out", tmp_path / "table.csv")
    assert result.status == 0
    assert "caf\\udce9.png" in (tmp_path / "table.csv").read_text()


def test_more_images_than_a_batch(tiny: SimpleNamespace, tmp_path: Path) -> None:
    import bioclass.answers as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", 7)
        few = probabilities(run_cli("predict", tiny.run, tiny.data).out, "path")
    all_at_once = probabilities(run_cli("predict", tiny.run, tiny.data).out, "path")
    assert list(few) == list(all_at_once) and len(few) == 60
    for path, values in few.items():
        np.testing.assert_allclose(np.array(values, float), np.array(all_at_once[path], float), rtol=1e-5)


def test_a_snapshot_predicts_with_its_own_weights(tiny: SimpleNamespace, tmp_path: Path) -> None:
    settings = ("fit.schedule.name=cosine", "fit.snapshots=2", "split.validation=0")
    run = open_run(fit(tiny.recipe, tmp_path / "run", *(word for each in settings for word in ("--set", each))))
    images = np.stack([read_for(run.plan, path) for path in sorted(tiny.data.rglob("*.png"))])
    best, first, last = (Predictor(run, mx.cpu(), number).probabilities(images) for number in (None, 1, 2))
    # Without a validation part the last weights are the result, and the last cycle ends with them.
    assert np.array_equal(last, best) and not np.array_equal(first, best)
    weights = run.snapshot(1).tensors["weights"]
    hidden = 1 / (1 + np.exp(-(images.reshape(60, -1) / 255 @ weights["fc1.weight"].T + weights["fc1.bias"])))
    scores = hidden @ weights["fc2.weight"].T + weights["fc2.bias"]
    np.testing.assert_allclose(first, softmax(scores), atol=1e-5)
    with pytest.raises(RunError, match="has no snapshot 3: it has 2"):
        Predictor(run, mx.cpu(), 3)


def test_prediction_needs_no_dataset(tiny: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(tiny.run, tmp_path / "run")
    shutil.copy(tiny.data / "class1" / "00.png", tmp_path / "new.png")
    result = run_cli("predict", "run", "new.png", cwd=tmp_path, env={"BIOCLASS_DATA": str(tmp_path / "none")})
    assert result.status == 0 and result.out.splitlines()[1].startswith("new.png,")
