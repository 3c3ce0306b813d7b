"""A checkpoint: named arrays and a small state that change together or not at all.

A checkpoint is a folder with a ``manifest.json`` that names its safetensors files and their digests. New files
get new names, and the replaced manifest is the moment at which the checkpoint changes; files that it no longer
names are removed afterwards. A process killed anywhere in between leaves the old checkpoint whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError
from bioclass.files import read_sealed, read_verified, sha256, sync_folder, verify_file, write_atomic, write_sealed

Tensors = dict[str, npt.NDArray[Any]]
MANIFEST = "manifest.json"
BACKBONE = "backbone"
"""The kind of arrays that a fit keeps as they came: their file is written once, and read they are weights."""


@dataclass(frozen=True)
class Kept:
    """Arrays that a fit keeps as they came: a safetensors file that is there, and its SHA-256."""

    path: Path
    sha256: str

    def file_name(self, kind: str) -> str:
        """Return what the file is called in a checkpoint, where its content tells it from all others."""
        return f"{kind}-{self.sha256[:8]}.safetensors"

    def put(self, path: Path) -> None:
        """Let the file have this name too; where the disks differ, or links are not to be had, write it again.

        Raises:
            OSError: it cannot be written.
        """
        if path.exists():
            return
        try:
            os.link(self.path, path)
        except OSError:
            write_atomic(path, read_verified(self.path, self.sha256))
        else:
            sync_folder(path.parent)


def pack(arrays: Tensors) -> bytes:
    """Return the safetensors file of some named arrays."""
    from safetensors.numpy import save

    data: bytes = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    return data


@dataclass(frozen=True)
class Checkpoint:
    """``tensors`` holds the arrays by kind ("weights", "optimizer") and name; ``state`` is JSON-ready."""

    tensors: dict[str, Tensors]
    state: dict[str, Any]


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensors | Kept], state: dict[str, Any]) -> None:
    """Replace the checkpoint in ``folder`` as a whole; ``state["iteration"]`` and the content name the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for kind, arrays in tensors.items():
        if isinstance(arrays, Kept):
            name, digest = arrays.file_name(kind), arrays.sha256
            arrays.put(folder / name)
            size = (folder / name).stat().st_size
        else:
            data = pack(arrays)
            digest, size = sha256(data), len(data)
            # With the digest in its name, no file that the old manifest names is ever overwritten.
            name = f"{kind}-{state['iteration']:08d}-{digest[:8]}.safetensors"
            write_atomic(folder / name, data)
        files[kind] = {"name": name, "sha256": digest, "bytes": size}
    write_sealed(folder / MANIFEST, {"files": files, "state": state})
    kept = {MANIFEST, *(str(entry["name"]) for entry in files.values())}
    for path in folder.iterdir():
        if path.name not in kept and path.suffix in (".safetensors", ".tmp"):
            path.unlink()


def load_state(folder: Path) -> dict[str, Any] | None:
    """Return the state of the checkpoint in ``folder`` without reading its arrays; None where there is none.

    Raises:
        RunError: the manifest is damaged or not a checkpoint's.
    """
    if not (folder / MANIFEST).exists():
        return None
    state = read_sealed(folder / MANIFEST).get("state")
    if not isinstance(state, dict):
        raise RunError(f"{folder} is not a checkpoint of bioclass: its {MANIFEST} holds no state.")
    return state


def load_checkpoint(folder: Path, kept: bool = True) -> Checkpoint | None:
    """Read the checkpoint in ``folder``, or None where none was ever finished.

    Without ``kept``, what a fit kept as it came is verified and not among the weights.

    Raises:
        RunError: a file is missing, damaged or not a checkpoint's.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if not (folder / MANIFEST).exists():
        return None
    manifest = read_sealed(folder / MANIFEST)
    tensors: dict[str, Tensors] = {}
    try:
        for kind, entry in manifest["files"].items():
            name = entry["name"]
            if Path(name).name != name:
                raise RunError(f"{folder / MANIFEST} names a file outside its folder: {name!r}.")
            if kind == BACKBONE and not kept:
                verify_file(folder / name, entry["sha256"])
            else:
                tensors[kind] = load(read_verified(folder / name, entry["sha256"]))
        if BACKBONE in tensors:
            tensors["weights"] = {**tensors.pop(BACKBONE), **tensors["weights"]}
        return Checkpoint(tensors, dict(manifest["state"]))
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as problem:
        raise RunError(f"{folder} is not a checkpoint of bioclass: {problem}.") from None
