"""Large arrays go to a file that nobody has to clean up."""

import gzip
import hashlib
import io
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest

from bioclass import storage
from bioclass.errors import BioclassError, InputError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOCLASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BIOCLASS_MEMORY_LIMIT", "1")
    return tmp_path / "cache"


def test_small_arrays_lie_in_memory(cache):
    array = storage.allocate((1024, 1024), np.uint8)
    assert not isinstance(array, np.memmap)
    assert not cache.exists()


def test_large_arrays_lie_on_disk_and_leave_nothing(cache):
    array = storage.allocate((1025, 1024, 2), ">u2")
    assert isinstance(array, np.memmap)
    assert (array.shape, array.dtype) == ((1025, 1024, 2), np.dtype(">u2"))
    assert list(cache.iterdir()) == []
    array[...] = 513
    array[-1, -1, -1] = 7
    assert (array[0, 0, 0], array[-1, -1, -1]) == (513, 7)


def test_default_limit(monkeypatch):
    monkeypatch.delenv("BIOCLASS_MEMORY_LIMIT", raising=False)
    assert storage.memory_limit() == 2 * 2**30


@pytest.mark.parametrize("text", ["much", "-1", "1.5"])
def test_limit_that_is_no_number(monkeypatch, text):
    monkeypatch.setenv("BIOCLASS_MEMORY_LIMIT", text)
    with pytest.raises(InputError, match=f"BIOCLASS_MEMORY_LIMIT must be a whole number.*{text}"):
        storage.allocate((1,), np.uint8)


def test_disk_too_small(cache, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: usage(0, 0, 2**29))
    with pytest.raises(BioclassError, match=r"1\.0 GiB are wanted .* 0\.5 GiB free.*BIOCLASS_CACHE"):
        storage.allocate((1024, 1024, 1024), np.uint8)
    assert list(cache.iterdir()) == []


def test_disk_that_fills_up_while_it_is_reserved(cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "posix_fallocate", full)
    with pytest.raises(BioclassError, match="are wanted for images"):
        storage.allocate((1025, 1024), np.uint8)


def test_cache_folder_that_cannot_be_used(cache):
    cache.write_text("a file")
    with pytest.raises(InputError, match=r"cache folder .*cache cannot be used.*BIOCLASS_CACHE"):
        storage.allocate((1025, 1024), np.uint8)


def test_fill_reads_in_place_and_shows_every_byte(cache):
    data = np.arange(3_000_000, dtype=np.uint16)
    packed = io.BytesIO(gzip.compress(data.tobytes(), 1))
    out, digest = storage.allocate(data.shape, data.dtype), hashlib.sha256()
    assert isinstance(out, np.memmap)
    assert storage.fill(out, gzip.GzipFile(fileobj=packed), digest.update) == data.nbytes
    np.testing.assert_array_equal(out, data)
    assert digest.hexdigest() == hashlib.sha256(data.tobytes()).hexdigest()


def test_fill_says_how_far_it_came():
    assert storage.fill(np.empty(10, np.uint8), io.BytesIO(b"1234")) == 4
    assert storage.fill(np.empty((0, 3), np.uint8), io.BytesIO(b"1234")) == 0


def test_data_rooms_do_not_import_mxnet_or_heavy_packages():
    code = (
        "import sys, bioclass.storage, bioclass.images, bioclass.formats, bioclass.preprocess\n"
        "print(sorted({'mxnet', 'skimage', 'tifffile', 'cv2', 'pandas', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
