"""Files that are whole or not there, and small JSON documents that know when they were altered."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from bioclass.errors import RunError


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that, whatever happens, its name holds the old content or the new one, never a part."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside a folder last through a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def write_sealed(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON document together with the digest of its own content."""
    sealed = {**document, "digest": _digest(document)}
    write_atomic(path, json.dumps(sealed, indent=2, ensure_ascii=False) + "\n")


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a document written by :func:`write_sealed`.

    Raises:
        RunError: it is missing, not JSON, or not as it was written.
    """
    try:
        document = json.loads(path.read_bytes())
        digest = document.pop("digest")
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the run folder is not complete.") from None
    except OSError as problem:
        raise RunError(f"{path} cannot be read: {problem.strerror}.") from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise RunError(f"{path} is damaged: it is not the JSON that bioclass wrote.") from None
    if digest != _digest(document):
        raise RunError(f"{path} is damaged or was edited: its content does not fit its digest.")
    result: dict[str, Any] = document
    return result


def read_verified(path: Path, digest: str) -> bytes:
    """Read a file whose SHA-256 is known.

    Raises:
        RunError: it is missing, or its content is not what was written.
    """
    try:
        data = path.read_bytes()
    except OSError:
        raise RunError(f"{path} is missing or cannot be read: the run folder is not complete.") from None
    if sha256(data) != digest:
        raise RunError(
            f"{path} is damaged or was edited: its content does not fit the digest in the manifest. "
            "Restore it from a copy, or fit again."
        )
    return data


def _digest(document: dict[str, Any]) -> str:
    return sha256(json.dumps(document, sort_keys=True).encode())
