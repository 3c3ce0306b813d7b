"""Whatever bytes are sent: an image as the model takes it, or a sentence under the sender's name for them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bioclass.preprocess import Input, Plan
from bioclass.serve.reading import read
from bioclass.serve.upload import Sent


def plan(channels: int, side: int) -> Plan:
    return Plan(
        input=Input(channels=channels, dtype="uint8", bit_depth=8),
        size=(side, side),
        resize="stretch" if side != 28 else None,
        divisor=255,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        channels=channels,
    )


PLANS = [plan(1, 28), plan(3, 10)]


def encoded(kind: str) -> bytes:
    image = np.arange(28 * 28 * 3, dtype=np.uint32).reshape(28, 28, 3).astype(np.uint8)
    out = io.BytesIO()
    if kind == "npy":
        np.save(out, image)
    elif kind == "TIFF":
        tifffile.imwrite(out, image, photometric="rgb")
    else:
        Image.fromarray(image[..., 0] if kind == "PPM" else image).save(out, kind)
    return out.getvalue()


FILES = {kind: encoded(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM", "TIFF", "npy")}


@settings(deadline=None, max_examples=200)
@given(
    kind=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
    kept=st.integers(1, 100),
    field=st.sampled_from(["image", "drawing"]),
)
def test_damaged_files_are_images_or_sentences(
    kind: str, changes: list[tuple[int, int]], kept: int, field: str
) -> None:
    data = bytearray(FILES[kind])
    for place, value in changes:
        data[place % len(data)] = value
    # Half of the time the file is whole.
    data = data[: len(data) * min(100, 2 * kept) // 100]
    found = read(Sent(field, "mine.png", bytes(data)), PLANS, 1)
    for image, each in zip(found.images, PLANS, strict=True):
        if isinstance(image, str):
            assert "bioclass-" not in image and image.endswith(".")
        else:
            assert image.shape == (*each.size, each.channels) and image.dtype == np.uint8


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "image", "", "n" * 300])
def test_a_name_is_never_a_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = read(Sent("image", name, b"no image"), PLANS, 1)
    assert all(isinstance(image, str) and image.startswith(f"{name} is not an image") for image in found.images)
    assert list(tmp_path.iterdir()) == []
