"""Checkpoints: whole, old or new, whatever happens; and safe to open whoever made them."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from bioclass import checkpoint as module
from bioclass.checkpoint import load_checkpoint, save_checkpoint
from bioclass.errors import RunError
from bioclass.files import sha256, write_sealed


def content(number):
    """A checkpoint that differs from every other number's in all its parts."""
    tensors = {
        "weights": {"a": np.full((2, 3), number, np.float32), "b": np.arange(4, dtype=np.float32) + number},
        "optimizer": {"m": np.full(5, -number, np.float64)},
    }
    return tensors, {"iteration": number, "note": f"state {number}"}


def save(folder, number, iteration=None):
    tensors, state = content(number)
    save_checkpoint(folder, tensors, {**state, "iteration": number if iteration is None else iteration})


def number_of(loaded):
    """Which checkpoint this is; fails if its parts are of different ones."""
    number = int(loaded.state["note"].split()[1])
    tensors, _ = content(number)
    assert loaded.tensors.keys() == tensors.keys()
    for kind, arrays in tensors.items():
        assert loaded.tensors[kind].keys() == arrays.keys()
        for name, array in arrays.items():
            assert loaded.tensors[kind][name].dtype == array.dtype
            assert np.array_equal(loaded.tensors[kind][name], array)
    return number


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_round_trip(tmp_path):
    save(tmp_path / "last", 7)
    assert number_of(load_checkpoint(tmp_path / "last")) == 7
    assert load_checkpoint(tmp_path / "last").state == content(7)[1]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3), np.float32),
        np.float32(3).reshape(()),
        np.arange(6, dtype=np.int64).reshape(2, 3).T,
        np.array([np.nan, np.inf, -0.0, 1e-45], np.float32),
        np.arange(10, dtype=np.float16)[::2],
        np.array([True, False]),
        np.arange(3, dtype=np.uint8),
    ],
    ids=["empty", "scalar", "transposed", "specials", "strided", "bool", "uint8"],
)
def test_arrays_come_back_bit_by_bit(tmp_path, array):
    save_checkpoint(tmp_path / "last", {"weights": {"x": array}}, {"iteration": 0})
    found = load_checkpoint(tmp_path / "last").tensors["weights"]["x"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == np.ascontiguousarray(array).tobytes()


def test_none_was_ever_finished(tmp_path):
    assert load_checkpoint(tmp_path / "last") is None
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "weights-00000001.safetensors").write_bytes(b"half")
    assert load_checkpoint(tmp_path / "last") is None


def test_old_files_are_removed(tmp_path):
    for number in (1, 2, 30):
        save(tmp_path, number)
        assert len(files(tmp_path)) == 3
    assert all("00000030" in name for name in files(tmp_path) if name != "manifest.json")


def test_what_a_killed_process_left_is_removed_and_a_users_own_file_is_not(tmp_path):
    save(tmp_path, 1)
    for name in (".weights-00000002.safetensors.99.tmp", "weights-00000002.safetensors", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "mine").mkdir()
    save(tmp_path, 3)
    assert [name for name in files(tmp_path) if "0003" not in name] == ["manifest.json", "mine", "notes.txt"]
    assert number_of(load_checkpoint(tmp_path)) == 3


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("iteration", [1, 2], ids=["same iteration", "another iteration"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("k", range(8))
def test_killed_at_any_step(tmp_path, monkeypatch, k, after, iteration):
    save(tmp_path, 1)
    steps = 0

    def step(function):
        def killed_at_k(*args, **kwargs):
            nonlocal steps
            steps += 1
            if steps == k + 1 and not after:
                raise Killed
            result = function(*args, **kwargs)
            if steps == k + 1:
                raise Killed
            return result

        return killed_at_k

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_atomic", step(module.write_atomic))
        patch.setattr(module, "write_sealed", step(module.write_sealed))
        patch.setattr(Path, "unlink", step(Path.unlink))
        patch.setattr(Path, "replace", step(Path.replace))
        try:
            save(tmp_path, 2, iteration)
        except Killed:
            finished = False
        else:
            finished = True
    found = number_of(load_checkpoint(tmp_path))
    assert found == 2 if finished else found in (1, 2)
    # The next one goes on from there, and clears up.
    save(tmp_path, 3)
    assert number_of(load_checkpoint(tmp_path)) == 3
    assert len(files(tmp_path)) == 3


def test_the_steps_are_all_tried(tmp_path, monkeypatch):
    """The eight steps above are more than a save has beside clearing up: both sides of the swap were met."""
    save(tmp_path, 1)
    calls = []
    for name in ("write_atomic", "write_sealed"):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, f=function: (calls.append(f), f(*args)))
    save(tmp_path, 2)
    assert len(calls) == 3


# Damage


@pytest.fixture
def saved(tmp_path):
    save(tmp_path, 1)
    return tmp_path


def weights(folder):
    return next(folder.glob("weights-*"))


@pytest.mark.parametrize("kind", ["weights", "optimizer"])
def test_damaged_tensors(saved, kind):
    path = next(saved.glob(f"{kind}-*"))
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 16
        path.write_bytes(flipped)
        with pytest.raises(RunError, match="is damaged or was edited") as caught:
            load_checkpoint(saved)
        assert str(path) in str(caught.value)
    for length in (0, 7, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match="is damaged or was edited"):
            load_checkpoint(saved)
    path.unlink()
    with pytest.raises(RunError, match="is missing or cannot be read"):
        load_checkpoint(saved)


def test_damaged_manifest(saved):
    path = saved / "manifest.json"
    path.write_text(path.read_text().replace("state 1", "state 2"))
    with pytest.raises(RunError, match=r"manifest\.json is damaged or was edited"):
        load_checkpoint(saved)
    path.write_text("{")
    with pytest.raises(RunError, match=r"manifest\.json is damaged"):
        load_checkpoint(saved)


# A stranger's checkpoint: everything is sealed properly, and nothing is as it should be


def entry(path):
    data = path.read_bytes()
    return {"name": path.name, "sha256": sha256(data), "bytes": len(data)}


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "inner/x"])
def test_a_manifest_that_names_a_file_elsewhere(tmp_path, name):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    folder = tmp_path / "last"
    (folder / "a").mkdir(parents=True)
    write_sealed(folder / "manifest.json", {"files": {"weights": {**entry(secret), "name": name}}, "state": {}})
    with pytest.raises(RunError, match="names a file outside its folder"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"files": {}},
        {"files": [], "state": {}},
        {"files": {"weights": None}, "state": {}},
        {"files": {"weights": {"name": 3}}, "state": {}},
        {"files": {"weights": {"name": ""}}, "state": {}},
        {"files": {"weights": {"name": "", "sha256": ""}}, "state": {}},
        {"files": {"weights": {"name": "..", "sha256": ""}}, "state": {}},
        {"files": {"weights": {"name": "a\0b", "sha256": ""}}, "state": {}},
        {"files": {}, "state": 3},
        {"files": {}, "state": "text"},
        {"files": {}, "state": [1]},
    ],
    ids=json.dumps,
)
def test_a_manifest_of_something_else(tmp_path, document):
    write_sealed(tmp_path / "manifest.json", document)
    with pytest.raises(RunError) as caught:
        load_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize(
    "data", [pickle.dumps(Trap()), b"", b"\xff" * 64, b"\x93NUMPY", (2**40).to_bytes(8, "little") + b"{}"]
)
def test_nothing_is_unpickled(tmp_path, data):
    path = tmp_path / "weights-00000001.safetensors"
    path.write_bytes(data)
    write_sealed(tmp_path / "manifest.json", {"files": {"weights": entry(path)}, "state": {}})
    with pytest.raises(RunError, match="is not a checkpoint of bioclass"):
        load_checkpoint(tmp_path)
