"""What is seen of stored images: 8 bits as they are, everything else by a stated rule."""

from __future__ import annotations

import numpy as np
import pytest

from bioclass.preprocess import Input
from bioclass.report.display import display_of


def source(channels: int = 1, dtype: str = "uint8", bit_depth: int | None = 8) -> Input:
    return Input(channels=channels, dtype=dtype, bit_depth=bit_depth)


def ramp(dtype: str, top: float, channels: int = 1) -> np.ndarray:
    values = np.linspace(0, top, 50 * 40 * channels).reshape(50, 40, channels)
    return values.astype(dtype)


@pytest.mark.parametrize("channels", [1, 3])
def test_eight_bits_are_seen_as_they_are_stored(channels: int) -> None:
    image = ramp("uint8", 180, channels)
    display = display_of([image], source(channels))
    assert display.note == ""
    assert np.array_equal(display(image), np.broadcast_to(image, (50, 40, 3)))


def test_fewer_bits_reach_white_at_their_own_largest_value() -> None:
    image = np.array([[[0], [8], [15]]], np.uint8)
    assert display_of([image], source(bit_depth=4))(image)[0, :, 0].tolist() == [0, 136, 255]


@pytest.mark.parametrize(
    ("dtype", "depth", "low", "top"), [("uint16", 16, 400, 5000), ("float32", None, -0.5, 2.5)]
)
def test_deeper_images_are_stretched_and_a_hot_pixel_does_not_darken_them(
    dtype: str, depth: int | None, low: float, top: float
) -> None:
    image = np.linspace(low, top, 40_000).reshape(200, 200, 1).astype(dtype)
    image[3, 3] = 60_000
    display = display_of([image], source(dtype=dtype, bit_depth=depth))
    seen = display(image)
    assert seen.dtype == np.uint8 and seen.shape == (200, 200, 3)
    assert seen.min() == 0 and seen[-1, -1, 0] == 255 and 120 < np.median(seen) < 135
    assert "Black is" in display.note and "white" in display.note


def test_one_range_for_all_images_keeps_them_comparable() -> None:
    dark, bright = np.full((20, 20, 1), 1000, np.uint16), np.full((20, 20, 1), 3000, np.uint16)
    display = display_of([dark, bright], source(dtype="uint16", bit_depth=16))
    assert display(dark).max() == 0 and display(bright).min() == 255


def test_deep_colours_keep_their_hue() -> None:
    image = np.zeros((20, 20, 3), np.uint16)
    image[:10] = (4000, 2000, 0)
    seen = display_of([image], source(3, "uint16", 16))(image)
    assert seen[0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_numbers_of_channels_are_their_mean_after_each_has_one_range(dtype: str, channels: int) -> None:
    image = np.zeros((30, 30, channels), dtype)
    for channel in range(channels):
        # However bright a channel is, what it shows is seen as well as what the others show.
        image[5 * channel : 5 * channel + 5, :, channel] = 10 * 2**channel
    display = display_of([image], source(channels, dtype, 8 if dtype == "uint8" else None))
    seen = display(image)
    assert f"mean of the {channels} channels" in display.note
    assert {int(seen[5 * channel, 0, 0]) for channel in range(channels)} == {255}
    assert seen[29, 0, 0] == 0
    assert np.array_equal(seen[..., 0], seen[..., 2])


def test_an_image_of_one_value_is_black() -> None:
    image = np.full((8, 8, 1), 7.5, np.float32)
    assert display_of([image], source(dtype="float32", bit_depth=None))(image).max() == 0


def test_images_of_many_sizes_count_alike() -> None:
    """A large image does not decide alone what is white."""
    large, small = np.full((3000, 1000, 1), 10, np.uint16), np.full((10, 10, 1), 500, np.uint16)
    display = display_of([large, small] * 3, source(dtype="uint16", bit_depth=16))
    assert display(large).max() == 0


@pytest.mark.parametrize(
    ("shape", "seen"), [((4000, 3000), (1000, 750)), ((2, 9000), (2, 9000)), ((959, 20), (959, 20))]
)
def test_a_large_image_is_averaged_not_thinned(shape: tuple[int, int], seen: tuple[int, int]) -> None:
    image = np.zeros((*shape, 1), np.uint8)
    image[::2] = 200
    found = display_of([image], source())(image)
    assert found.shape == (*seen, 3)
    assert found.mean() == pytest.approx(image.mean(), abs=0.5)
    assert seen == shape or found.min() == found.max() == 100
