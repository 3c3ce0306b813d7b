"""A run folder is opened safely, and everything that can be wrong with one is one clear error."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, refused, run_cli
from safetensors.numpy import save

from bioclass.errors import RunError
from bioclass.files import sha256, write_sealed
from bioclass.run import DOCUMENTS, Run, open_run

FILES = (
    *DOCUMENTS,
    "manifest.json",
    "history.jsonl",
    "best/manifest.json",
    "best/weights",
    "last/manifest.json",
    "last/weights",
    "last/optimizer",
)


@pytest.fixture
def run(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    shutil.copytree(tiny.run, tmp_path / "copy", ignore=shutil.ignore_patterns("evaluation"))
    return tmp_path / "copy"


def file_of(run: Path, name: str) -> Path:
    """The file of a name in FILES; those of a checkpoint have their content in their name."""
    path = run / name
    return path if path.suffix else next(path.parent.glob(f"{path.name}-*.safetensors"))


def reseal(run: Path, name: str, data: bytes) -> None:
    """Write a document as a stranger would who knows the format: with the right digests."""
    manifest = json.loads((run / "manifest.json").read_bytes())
    manifest.pop("digest")
    (run / name).write_bytes(data)
    manifest["files"][name] = sha256(data)
    write_sealed(run / "manifest.json", manifest)


def reseal_checkpoint(folder: Path, data: bytes, **state: object) -> None:
    """Replace a checkpoint's weights, with the right digest, and parts of its state."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest.pop("digest")
    entry = manifest["files"]["weights"]
    (folder / entry["name"]).write_bytes(data)
    entry["sha256"] = sha256(data)
    manifest["state"].update(state)
    write_sealed(folder / "manifest.json", manifest)


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_an_undamaged_run_opens_and_verifies(tiny: SimpleNamespace) -> None:
    run = open_run(tiny.run)
    run.verify()
    assert run.classes == ("class0", "class1", "class2")
    assert len(run.split.ids) == 60 and set(run.split.parts) == {"train", "validation", "test"}
    assert [record["epoch"] for record in run.history()] == [1, 2, 3]
    assert run.environment["root"] == str(tiny.data) and run.environment["seed"] == 0


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_in_any_file_is_one_clear_error(run: Path, name: str) -> None:
    path = file_of(run, name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x01
    path.write_bytes(data)
    assert str(path) in refused("evaluate", run)


@pytest.mark.parametrize("name", FILES)
def test_whatever_byte_is_flipped_the_run_never_differs_unnoticed(run: Path, name: str) -> None:
    path = file_of(run, name)
    data = path.read_bytes()
    before = _content(open_run(run))
    places = np.linspace(0, len(data) - 1, 60).astype(int)
    for place, bits in zip(places, (0x80, 0x20, 0x01, 0xFF) * 15, strict=True):
        damaged = bytearray(data)
        damaged[place] ^= bits
        path.write_bytes(damaged)
        try:
            after = _content(open_run(run))
        except RunError as problem:
            assert "damaged" in str(problem)
        else:
            # White space between the values of a manifest.
            assert path.name == "manifest.json" and after == before


def _content(run: Run) -> object:
    run.verify()
    last = run.last()
    assert last is not None
    return run.recipe, run.card, run.plan, run.environment, run.split.ids.tolist(), run.history(), last.state


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["truncated", "empty", "missing", "a folder"])
def test_a_truncated_or_missing_file_is_one_clear_error(run: Path, name: str, how: str) -> None:
    path = file_of(run, name)
    data = path.read_bytes()
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes(data[: len(data) // 2] if how == "truncated" else b"")
    # Without its manifest a checkpoint or a run is none, so the folder is what the sentence names.
    error = refused("evaluate", run)
    assert str(path) in error or (path.name == "manifest.json" and str(run) in error)


@pytest.mark.parametrize(
    ("name", "sealed"),
    [*((name, False) for name in FILES), *((name, True) for name in (*DOCUMENTS, "best/weights", "last/weights"))],
)
def test_nothing_in_a_run_folder_is_unpickled(run: Path, name: str, sealed: bool, tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "executed"))
    if not sealed:
        file_of(run, name).write_bytes(bomb)
    elif name in DOCUMENTS:
        reseal(run, name, bomb)
    else:
        reseal_checkpoint(run / name.split("/")[0], bomb)
    refused("evaluate", run)
    assert run_cli("predict", run, tmp_path).status == 2  # It holds no images besides.
    assert run_cli("runs", run.parent).status == 0
    assert not (tmp_path / "executed").exists()


def test_a_newer_version_is_named(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_bytes())
    manifest.pop("digest")
    write_sealed(run / "manifest.json", {**manifest, "version": 2})
    assert "was written as version 2; this bioclass reads 1" in refused("evaluate", run)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "There is no run folder"),
        (lambda path: path.mkdir(), "it has no manifest.json"),
        (lambda path: path.write_text("x"), "is a file; a run folder is wanted"),
        (lambda path: _write(path / "manifest.json", '{"name": "a web page"}'), "is damaged"),
        (lambda path: _write(path / "manifest.json", "[" * 100_000), "is damaged"),
        (lambda path: _write(path / "manifest.json", "[]"), "is damaged"),
        (lambda path: _seal(path, {"format": "other run", "version": 1}), "of something else"),
        (lambda path: _seal(path, {"format": "bioclass run", "version": 1, "files": {}}), "is not a run"),
    ],
    ids=["missing", "empty", "file", "foreign", "deep", "list", "another format", "no files"],
)
def test_what_is_no_run_is_one_clear_error(tmp_path: Path, make: object, says: str) -> None:
    make(tmp_path / "run")  # type: ignore[operator]
    assert says in refused("evaluate", tmp_path / "run")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)


def _seal(path: Path, document: dict[str, object]) -> None:
    path.mkdir()
    write_sealed(path / "manifest.json", document)


def test_the_run_that_was_meant_is_named(tiny: SimpleNamespace, tmp_path: Path) -> None:
    assert f"It holds the runs {tiny.runs[0]}, {tiny.runs[1]}" in refused("evaluate", tiny.home)
    shutil.copytree(tiny.run, tmp_path / "runs" / "mine")
    assert "Did you mean runs/mine?" in refused("evaluate", "mine", cwd=tmp_path)
    inside = tmp_path / "runs" / "mine" / "evaluation"
    inside.mkdir(exist_ok=True)
    assert f"is inside a run folder: name {inside.parent}" in refused("evaluate", inside)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("split.csv", b"id,part\na,test\n"),
        ("split.csv", b"id,part,label\na,test,unknown\n"),
        ("split.csv", b"id,part,label\na,elsewhere,class0\n"),
        ("split.csv", b"\xff\xfe"),
        ("environment.json", b"[]"),
        ("environment.json", b"{"),
        ("environment.json", b'{"device": "cpu", "workers": "many", "threads": 1, "root": "/"}'),
        ("preprocess.json", b"{}"),
        ("recipe.toml", b"dataset = 3"),
        ("card.toml", b"name = "),
    ],
)
def test_a_document_of_a_stranger_is_validated_even_with_the_right_digest(
    run: Path, name: str, data: bytes
) -> None:
    reseal(run, name, data)
    refused("evaluate", run)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({}, "missing"),
        ({"fc1.weight": np.zeros((1, 1), np.float32)}, "unknown"),
        ("shape", "not (8, 144)"),
        ("type", "not float32"),
        ("nan", "nan"),
    ],
)
def test_weights_that_do_not_fit_the_network_are_refused(run: Path, tensors: object, says: str) -> None:
    weights = open_run(run).best().tensors["weights"]
    name = next(name for name, value in weights.items() if value.shape == (8, 144))
    changed = {
        "shape": weights[name][:4],
        "type": weights[name].astype(np.int32),
        "nan": np.full_like(weights[name], np.nan),
    }
    crafted = {**weights, name: changed[tensors]} if isinstance(tensors, str) else tensors
    reseal_checkpoint(run / "best", save(crafted))
    assert says in refused("evaluate", run)


@pytest.mark.parametrize("state", [{"records": "many"}, {"records": None}, {"history": 3}, {"records": 99}])
def test_a_crafted_state_is_refused(run: Path, state: dict[str, object]) -> None:
    reseal_checkpoint(run / "last", file_of(run, "last/weights").read_bytes(), **state)
    refused("evaluate", run)


def test_a_checkpoint_does_not_reach_outside_its_folder(run: Path) -> None:
    manifest = json.loads((run / "best/manifest.json").read_bytes())
    manifest.pop("digest")
    manifest["files"]["weights"]["name"] = "../../secret"
    write_sealed(run / "best/manifest.json", manifest)
    assert "outside its folder" in refused("evaluate", run)


def test_a_run_without_weights_says_how_to_get_them(run: Path) -> None:
    shutil.rmtree(run / "best")
    shutil.rmtree(run / "last")
    assert "no trained weights yet" in refused("evaluate", run)
    assert "no trained weights yet" in refused("predict", run, run)
    listed = run_cli("runs", run.parent)
    assert listed.status == 0 and "not saved yet" in listed.out


def test_an_existing_folder_is_never_overwritten(tiny: SimpleNamespace, run: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert "--resume" in refused("fit", tiny.recipe, "--run", run)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    assert "is not a bioclass run" in refused("fit", tiny.recipe, "--run", tmp_path / "other")
    assert "is not a run folder" in refused("fit", tiny.recipe, "--run", tmp_path / "other", "--resume")
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]


def test_a_run_folder_that_cannot_be_written_is_one_sentence(tiny: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written: Not a directory" in refused("fit", tiny.recipe, "--run", tmp_path / "file" / "run")


def test_an_evaluation_that_cannot_be_written_is_one_sentence(run: Path) -> None:
    (run / "evaluation").write_text("in the way")
    assert f"cannot be written into {run / 'evaluation'}" in refused("evaluate", run)


def test_no_half_run_is_left_behind(tiny: SimpleNamespace, tmp_path: Path) -> None:
    refused("fit", tiny.recipe, "--run", tmp_path / "run", "--set", "preprocess.divisor=0")
    refused("fit", tiny.recipe, "--run", tmp_path / "run", "--set", "network.name=lenet")
    assert list(tmp_path.iterdir()) == []


def test_snapshots_are_verified_like_the_best_weights(tiny: SimpleNamespace, tmp_path: Path) -> None:
    settings = ("fit.schedule.name=cosine", "fit.snapshots=2", "fit.epochs=2")
    run = fit(tiny.recipe, tmp_path / "run", *(word for each in settings for word in ("--set", each)))
    assert run_cli("evaluate", run, "--root", tiny.data).status == 0
    path = next((run / "snapshots" / "02").glob("weights-*"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert str(path) in refused("evaluate", run, "--root", tiny.data)
    assert open_run(run).snapshot_count == 2


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["fit.snapshots=2"], "set fit.schedule.name to 'cosine' or 'one-cycle'. Got 'constant'"),
        (["fit.snapshots=2", "fit.schedule.name=cosine", "fit.early_stopping={}"], "exclude each other"),
        (["fit.snapshots=99", "fit.schedule.name=cosine", "fit.iterations=5"], "are more than the 5 iterations"),
    ],
)
def test_snapshots_that_cannot_be(tiny: SimpleNamespace, tmp_path: Path, settings: list[str], says: str) -> None:
    words = [word for each in settings for word in ("--set", each)]
    assert says in refused("fit", tiny.recipe, "--run", tmp_path / "run", "--root", tiny.data, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_second_fit_of_the_same_run_is_refused(tiny: SimpleNamespace, run: Path) -> None:
    from bioclass.run import locked

    with locked(run):
        error = refused("fit", tiny.recipe, "--run", run, "--resume", "--root", tiny.data)
    assert "is being fitted by another process" in error
