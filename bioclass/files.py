"""Files that are whole or not there, and small JSON documents that know when they were altered."""

from __future__ import annotations

import hashlib
import json
import os
from io import BufferedIOBase
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


def stream_digest(stream: BufferedIOBase) -> str:
    """Return the hexadecimal SHA-256 of what a stream holds from here on, which is never in memory as a whole."""
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


_digests: dict[tuple[int, ...], str] = {}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, which is read once a process for as long as it stays as it is.

    Links to one file are one file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        facts = os.fstat(stream.fileno())
        key = facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
        if key not in _digests:
            _digests[key] = stream_digest(stream)
    return _digests[key]


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
        raise _missing(path) from None
    if sha256(data) != digest:
        raise _damaged(path)
    return data


def verify_file(path: Path, digest: str) -> None:
    """Compare the SHA-256 of a file with the one that is known, without keeping its content.

    Raises:
        RunError: it is missing, or its content is not what was written.
    """
    try:
        found = file_digest(path)
    except OSError:
        raise _missing(path) from None
    if found != digest:
        raise _damaged(path)


def _missing(path: Path) -> RunError:
    return RunError(f"{path} is missing or cannot be read: the run folder is not complete.")


def _damaged(path: Path) -> RunError:
    return RunError(
        f"{path} is damaged or was edited: its content does not fit the digest in the manifest. "
        "Restore it from a copy, or fit again."
    )


def _digest(document: dict[str, Any]) -> str:
    return sha256(json.dumps(document, sort_keys=True).encode())
