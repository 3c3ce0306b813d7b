"""Room for large arrays: in memory below a limit, above it in a file that vanishes with the process."""

from __future__ import annotations

import errno
import io
import math
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from bioclass.errors import BioclassError, InputError

DEFAULT_LIMIT_MIB = 2048
_CHUNK = 1 << 22
_KEPT = 16 << 20


def memory_limit() -> int:
    """Return the bytes above which an array goes to disk: BIOCLASS_MEMORY_LIMIT in MiB, or 2 GiB.

    Raises:
        InputError: the variable is not a whole number of MiB.
    """
    text = os.environ.get("BIOCLASS_MEMORY_LIMIT", "").strip()
    if not text:
        return DEFAULT_LIMIT_MIB << 20
    if not text.isdecimal():
        raise InputError(
            f"BIOCLASS_MEMORY_LIMIT must be a whole number of MiB, for example {DEFAULT_LIMIT_MIB}. Got {text!r}."
        )
    return int(text) << 20


def cache_folder() -> Path:
    """Return the folder of temporary files: BIOCLASS_CACHE, or the user's cache folder."""
    import platformdirs

    named = os.environ.get("BIOCLASS_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("bioclass")


def allocate(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a writable C-contiguous array of this shape, its content undefined.

    Up to ``memory_limit()`` it lies in memory, above that in a memory-mapped temporary file without a name, so
    that nothing is left behind, whatever ends the process. Its attribute ``descriptor`` is that file's, for
    other processes to map.

    Raises:
        InputError: the cache folder cannot be written.
        BioclassError: the disk is too small.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= memory_limit():
        return np.empty(shape, dtype)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if size > shutil.disk_usage(folder).free:
            raise _no_room(folder, size)
        with tempfile.TemporaryFile(dir=folder, prefix="bioclass-") as file:
            _reserve(file, folder, size)
            # The map keeps the file alive after it is closed here.
            array: Any = np.memmap(file, dtype=dtype, mode="r+", shape=shape)
            array.descriptor = os.dup(file.fileno())
            weakref.finalize(array, os.close, array.descriptor)
            return cast("npt.NDArray[Any]", array)
    except OSError as problem:
        raise InputError(
            f"The cache folder {folder} cannot be used ({problem.strerror or problem}): set BIOCLASS_CACHE to a "
            "folder that you may write to."
        ) from None


def keep_memory() -> None:
    """Have glibc keep blocks of up to 16 MiB that are freed: asked of the kernel anew, each page is cleared again.

    That takes longer than resizing or sampling an image does. glibc keeps blocks of up to the size of the largest
    that was freed so far.
    """
    np.empty(_KEPT, np.uint8)


def create_npy(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a writable memory-mapped array in a new .npy file, whose blocks on the disk are taken at once.

    Raises:
        OSError: the file cannot be written.
        BioclassError: the disk is too small.
    """
    numpy: Any = np.lib.format
    kind = np.dtype(dtype)
    with path.open("wb") as file:
        header = {"descr": numpy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        numpy.write_array_header_1_0(file, header)
        file.flush()
        size = file.tell() + math.prod(shape) * kind.itemsize
        if size > shutil.disk_usage(path.parent).free:
            raise _no_room(path.parent, size)
        _reserve(file, path.parent, size)
    return cast("npt.NDArray[Any]", np.load(path, mmap_mode="r+", allow_pickle=False))


def fill(array: npt.NDArray[Any], stream: io.BufferedIOBase, seen: Callable[[Any], object] | None = None) -> int:
    """Read a stream straight into a C-contiguous array and return the bytes read, less than its size at the end.

    ``seen`` gets every piece of bytes as it passes, for example to hash it.
    """
    if array.size == 0:
        return 0
    view = array.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        piece = view[done : done + _CHUNK]
        count = stream.readinto(piece)
        if not count:
            break
        if seen is not None:
            seen(piece[:count])
        done += count
    return done


def npy_header(stream: IO[bytes] | io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether in Fortran order, and dtype of a .npy stream, and leave it at the first value.

    Raises:
        ValueError: the stream is not .npy, or of a version that only structured arrays use.
    """
    numpy: Any = np.lib.format
    version = numpy.read_magic(stream)
    readers = {(1, 0): numpy.read_array_header_1_0, (2, 0): numpy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the .npy format is for structured arrays")
    shape, fortran, dtype = readers[version](stream)
    return shape, fortran, dtype


def _reserve(file: IO[bytes], folder: Path, size: int) -> None:
    # A sparse file would take its blocks while it is written, and a disk that fills up meanwhile kills the
    # process with SIGBUS; so the blocks are taken now, where the system can.
    if sys.platform == "linux":
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as problem:
            if problem.errno == errno.ENOSPC:
                raise _no_room(folder, size) from None
    file.truncate(size)


def _no_room(folder: Path, size: int) -> BioclassError:
    return BioclassError(
        f"{_gib(size)} are wanted for images and the disk of {folder} has {_gib(shutil.disk_usage(folder).free)} "
        "free: free some, set BIOCLASS_CACHE to a folder on a larger disk, or raise BIOCLASS_MEMORY_LIMIT (in MiB) "
        "if the memory is there."
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
