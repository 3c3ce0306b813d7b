"""An exported file predicts as its run does, without MXNet, and says when it is not what bioclass wrote."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import refused, run_cli

onnx = pytest.importorskip("onnx", reason="the extra bioclass[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra bioclass[onnx] is not installed")

from bioclass.exported import open_exported  # noqa: E402


@pytest.fixture(scope="module")
def file(tiny: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    assert run_cli("export", tiny.run, "--output", path).status == 0
    return path


def test_the_table_is_that_of_the_run(tiny: SimpleNamespace, file: Path) -> None:
    theirs, ours = (run_cli("predict", model, tiny.data) for model in (tiny.run, file))
    assert ours.status == 0 and ours.err == ""
    tables = [list(csv.DictReader(io.StringIO(result.out))) for result in (theirs, ours)]
    assert list(tables[0][0]) == list(tables[1][0]) and len(tables[1]) == 60
    for expected, found in zip(*tables, strict=True):
        assert found["path"] == expected["path"] and found["class"] == expected["class"]
        for name in ("probability", "p_class0", "p_class1", "p_class2"):
            assert float(found[name]) == pytest.approx(float(expected[name]), abs=1e-6)


def test_a_run_is_computed_from_what_was_exported_of_it(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime starts in less time; it computes few images where the file is of the run's own weights."""
    run = shutil.copytree(tiny.runs[1], tmp_path / "run")
    expected = run_cli("predict", run, tiny.data)
    assert run_cli("export", run).status == 0
    target = run / "export" / "model.onnx"

    def by_runtime(*options: object) -> bool:
        result = run_cli("predict", run, tiny.data, *options)
        assert result.status == 0, result.err
        rows = [list(csv.DictReader(io.StringIO(text))) for text in (expected.out, result.out)]
        wholes = [row for row in rows[1] if row.get("region", "image") == "image"]
        assert [row["class"] for row in wholes] == [row["class"] for row in rows[0]]
        return "Computing with ONNX Runtime" in result.err

    assert by_runtime() and by_runtime("--device", "cpu")
    assert not by_runtime("--tiles", 12)
    monkeypatch.setattr("bioclass.cli.predict.FEW", 59)
    assert not by_runtime()
    monkeypatch.undo()
    whole = target.read_bytes()
    target.write_bytes(whole[:-100])
    assert not by_runtime(), "the run itself is enough"
    target.write_bytes(whole)
    # A file of other weights.
    assert run_cli("export", tiny.runs[2], "--output", target).status == 0
    assert not by_runtime()


def test_files_that_cannot_be_used_are_listed(tiny: SimpleNamespace, file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    result = run_cli("predict", file, tmp_path, tiny.data / "class0" / "00.png")
    assert result.status == 0 and "text.png is not an image" in result.err
    assert len(result.out.splitlines()) == 2
    assert "No image could be classified" in run_cli("predict", file, tmp_path).err


def test_no_images_have_no_probabilities(file: Path) -> None:
    assert open_exported(file).probabilities(np.zeros((0, 12, 12, 1), np.uint8)).shape == (0, 3)


def test_mxnet_has_no_part_in_it(tiny: SimpleNamespace, file: Path) -> None:
    code = f"""
import sys
from bioclass.cli import main
sys.argv = ["bioclass", "predict", {str(file)!r}, {str(tiny.data / "class0")!r}]
try:
    main()
finally:
    print(sorted({{"mxnet", "gluoncv", "cv2", "onnx", "sklearn", "pandas"}} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "[]\n", done.stderr


def test_a_damaged_file(file: Path, tiny: SimpleNamespace, tmp_path: Path) -> None:
    whole = bytearray(file.read_bytes())
    damaged = tmp_path / "damaged.onnx"
    image = tiny.data / "class0" / "00.png"
    for data in (whole[:-500], b"", b"not a model", bytes(3000)):
        damaged.write_bytes(data)
        assert "damaged.onnx is damaged" in refused("predict", damaged, image)
    # A weight that is another one still makes a model.
    model = onnx.load(file)
    weights = onnx.numpy_helper.to_array(max(model.graph.initializer, key=lambda each: each.ByteSize()))
    whole[bytes(whole).index(weights.ravel()[:4].tobytes())] ^= 1
    damaged.write_bytes(whole)
    assert "damaged or was edited: its content does not fit its digest" in refused("predict", damaged, image)


def test_a_file_that_is_not_ours(file: Path, tiny: SimpleNamespace, tmp_path: Path) -> None:
    image = tiny.data / "class0" / "00.png"
    assert "There is no file" in refused("predict", tmp_path / "missing.onnx", image)
    model = onnx.load(file)
    foreign = tmp_path / "foreign.onnx"
    for entry in model.metadata_props:
        if entry.key == "format":
            entry.value = "bioclass onnx 2"
    onnx.save(model, foreign)
    assert "was written as 'bioclass onnx 2'; this bioclass reads 'bioclass onnx 1'" in refused(
        "predict", foreign, image
    )
    del model.metadata_props[:]
    onnx.save(model, foreign)
    assert "was not written by `bioclass export`" in refused("predict", foreign, image)


def test_what_an_exported_file_cannot_do(file: Path, tiny: SimpleNamespace) -> None:
    image = tiny.data / "class0" / "00.png"
    assert "--answers needs a run folder" in refused("predict", file, image, "--answers")
    assert "computed on the processor: leave --device gpu out" in refused("predict", file, image, "--device", "gpu")


def test_without_onnx_runtime(file: Path, tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run_cli("predict", file, tiny.data)
    assert result.status == 1 and "pip install 'bioclass[onnx]'" in result.err and result.out == ""
