"""Maps of coordinates and one bilinear sampling for a batch."""

import numpy as np
import pytest
from scipy import ndimage

from bioclass.geometry import LONGEST, affine_map, fold, moved, sample, sample_map

IDENTITY = np.eye(2, 3)[None]


def noise(*shape, dtype="uint8"):
    rng = np.random.default_rng(3)
    return (
        rng.integers(0, 200, shape).astype(dtype)
        if np.dtype(dtype).kind in "ui"
        else rng.random(shape).astype(dtype)
    )


def shift(x, y):
    return np.array([[[1.0, 0, x], [0, 1, y]]])


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_identity_keeps_every_type_and_channel(dtype, channels):
    images = noise(3, 6, 9, channels).astype(dtype)
    out = sample(images, affine_map(np.repeat(IDENTITY, 3, axis=0), (6, 9)))
    assert out.dtype == images.dtype
    np.testing.assert_array_equal(out, images)


def test_whole_pixels_move_exactly():
    images = noise(2, 7, 8, 2)
    out = sample(images, affine_map(np.concatenate([shift(2, 0), shift(0, -3)]), (7, 8)))
    np.testing.assert_array_equal(out[0, :, :-2], images[0, :, 2:])
    np.testing.assert_array_equal(out[1, 3:], images[1, :-3])


def test_halves_are_means():
    images = noise(1, 5, 6, 1, dtype="float64")
    out = sample(images, affine_map(shift(0.5, 0), (5, 6)))
    np.testing.assert_allclose(out[0, :, :-1], (images[0, :, :-1] + images[0, :, 1:]) / 2)


def test_a_general_map_is_scipys():
    images = ndimage.gaussian_filter(noise(4, 20, 30, 1, dtype="float64"), (0, 2, 2, 0))
    rng = np.random.default_rng(0)
    map_ = np.stack([rng.uniform(0, 29, (4, 10, 12)), rng.uniform(0, 19, (4, 10, 12))], axis=1).astype(np.float32)
    wanted = [
        ndimage.map_coordinates(image[..., 0], places[::-1], order=1)
        for image, places in zip(images, map_, strict=True)
    ]
    # Places are resolved to 1/32 pixel.
    np.testing.assert_allclose(sample(images, map_.copy())[..., 0], wanted, atol=np.ptp(images) / 32)


def test_the_edge_is_repeated():
    images = noise(1, 4, 4, 1)
    out = sample(images, affine_map(shift(-2, 0), (4, 4)), "edge")
    np.testing.assert_array_equal(out[0, :, :3], np.repeat(images[0, :, :1], 3, axis=1))


@pytest.mark.parametrize("by", range(-9, 10))
def test_reflection_is_numpys(by):
    images = noise(1, 4, 5, 1)
    padded = np.pad(images[0, :, :, 0], ((0, 0), (9, 9)), "reflect")
    out = sample(images, affine_map(shift(by, 0), (4, 5)), "reflect")
    np.testing.assert_array_equal(out[0, :, :, 0], padded[:, 9 + by : 14 + by])


def test_one_pixel_has_only_itself_to_reflect():
    images = noise(1, 1, 1, 1)
    np.testing.assert_array_equal(sample(images, affine_map(shift(3, -2), (1, 1)), "reflect"), images)


def test_an_image_does_not_depend_on_its_batch():
    images = noise(300, 12, 10, 1)
    rng = np.random.default_rng(0)
    map_ = rng.uniform(-2, 14, (300, 2, 12, 10)).astype(np.float32)
    together = sample(images, map_.copy())
    alone = np.concatenate([sample(images[i : i + 1], map_[i : i + 1].copy()) for i in range(300)])
    np.testing.assert_array_equal(together, alone)


def test_batches_longer_than_opencv_takes():
    count = LONGEST // 400 + 30
    images = noise(count, 400, 2, 1)
    out = sample(images, affine_map(np.repeat(IDENTITY, count, axis=0), (400, 2)))
    np.testing.assert_array_equal(out, images)


def test_a_map_of_a_map():
    """Sampled at the places of a sampling: the two maps become one."""
    images = ndimage.gaussian_filter(noise(1, 30, 30, 1, dtype="float64"), (0, 3, 3, 0))
    first = affine_map(np.array([[[0.9, 0.1, 1.0], [-0.1, 0.9, 3]]]), (30, 30))
    second = affine_map(shift(1.5, -2), (30, 30))
    twice = sample(sample(images, first.copy()), second.copy())
    once = sample(images, sample_map(first, second.copy()))
    np.testing.assert_allclose(once[0, 3:-3, 3:-3], twice[0, 3:-3, 3:-3], atol=np.ptp(images) / 20)


def test_a_moved_map_is_the_product():
    first, second = np.array([[[0.9, 0.2, 1], [0.1, 1.1, -2]]]), np.array([[[1.2, 0, 3], [0.3, 0.8, 1]]])
    product = (np.vstack([second[0], [0, 0, 1]]) @ np.vstack([first[0], [0, 0, 1]]))[None, :2]
    np.testing.assert_allclose(
        moved(affine_map(first, (5, 7)), second), affine_map(product, (5, 7)), rtol=1e-5, atol=1e-5
    )


def test_folding_brings_all_inside():
    for border in ("edge", "reflect"):
        plane = np.random.default_rng(1).uniform(-200, 200, (8, 8)).astype(np.float32)
        for last in (0, 4, 8):
            inside = fold(plane, last, border)
            assert inside.min() >= 0 and inside.max() <= last
            held = (plane >= 0) & (plane <= last)
            np.testing.assert_array_equal(inside[held], plane[held])


def test_maps_are_left_as_they_are():
    images, first = noise(2, 9, 9, 1), affine_map(np.concatenate([shift(-20, 3), shift(2, 40)]), (9, 9))
    before = first.copy()
    for border in ("edge", "reflect"):
        sample(images, first, border)
        sample_map(first, first, border)
    np.testing.assert_array_equal(first, before)
