"""Centering, as the study has it: empty rows and columns cut away, the rest stretched to one size."""

import numpy as np
import pytest
from scipy import ndimage

from bioclass.card import Card, Class
from bioclass.preprocess import Plan, apply, centred, fit_statistics, prepare
from bioclass.preprocess.center import boxes
from bioclass.recipe import Center, Preprocess
from bioclass.samples import Samples


def digit(top, left, height, width, size=28, channels=1, background=0, dtype="uint8"):
    """A filled box on a background."""
    image = np.full((1, size, size, channels), background, dtype)
    image[:, top : top + height, left : left + width] = 200
    return image


@pytest.mark.parametrize("box", [(4, 7, 20, 10), (0, 0, 28, 28), (27, 0, 1, 1), (10, 5, 3, 22)])
@pytest.mark.parametrize("background", [0, 255])
def test_the_box_is_what_is_not_empty(box, background):
    image = digit(*box, background=background)
    if box == (0, 0, 28, 28):
        image[:, 5:9, 5:9] = background  # all of the border is full, so full is the background
        assert boxes(image, 0).tolist() == [[5, 5, 4, 4]]
    else:
        assert boxes(image, 0).tolist() == [list(box)]


def test_an_empty_image_is_all_box():
    assert boxes(np.zeros((1, 9, 7, 1), np.uint8), 0).tolist() == [[0, 0, 9, 7]]
    assert (
        centred(np.full((1, 28, 28, 1), 3, np.uint8), Center(), 255).tolist() == np.full((1, 20, 20, 1), 3).tolist()
    )


def test_tolerance_is_a_share_of_the_range():
    noisy = digit(6, 8, 10, 9) + np.random.default_rng(0).integers(0, 12, (1, 28, 28, 1)).astype(np.uint8)
    assert boxes(noisy, 0.1 * 255).tolist() == [[6, 8, 10, 9]]
    assert boxes(noisy, 0).tolist() == [[0, 0, 28, 28]]


def test_one_channel_makes_a_pixel_full():
    image = np.zeros((1, 12, 12, 3), np.uint8)
    image[0, 2, 3, 0], image[0, 8, 6, 2] = 5, 9
    assert boxes(image, 0).tolist() == [[2, 3, 7, 4]]


def test_a_box_fills_the_new_image():
    out = centred(digit(4, 7, 20, 10), Center(), 255)
    assert out.shape == (1, 20, 20, 1) and out.dtype == np.uint8
    assert (out[:, 1:-1, 1:-1] == 200).all() and out.min() >= 100  # half a pixel of black at the sides


def test_a_box_of_the_new_size_is_cut_out():
    image = np.zeros((1, 28, 28, 1), np.uint8)
    image[0, 3:23, 5:25] = np.random.default_rng(0).integers(1, 255, (20, 20, 1))
    np.testing.assert_array_equal(centred(image, Center(), 255)[0], image[0, 3:23, 5:25])


def test_shrinking_skips_no_pixel():
    """Thin lines of a large image do not fall between the samples."""
    image = np.zeros((1, 200, 200, 1), np.uint8)
    image[0, ::2] = 200
    image[0, 0] = image[0, -1] = image[0, :, 0] = image[0, :, -1] = 0
    out = centred(image, Center(size=(20, 20)), 255).astype(float)
    np.testing.assert_allclose(out[0, 2:-2, 2:-2], 100, atol=12)


def test_where_a_digit_stands_does_not_matter():
    rng = np.random.default_rng(1)
    shape = ndimage.gaussian_filter(rng.random((16, 12)), 1.5) * 400
    images = np.zeros((2, 28, 28, 1), np.uint8)
    images[0, 2:18, 3:15, 0] = images[1, 9:25, 14:26, 0] = shape.clip(1, 255)
    one, other = centred(images, Center(), 255)
    np.testing.assert_array_equal(one, other)


def test_prediction_centres_as_training_does():
    images = np.concatenate([digit(4, 7, 20, 10), digit(2, 2, 9, 21)])[..., 0]
    samples = Samples(images, [0, 1]).checked(("a", "b"))
    card = Card(name="boxes", title="Boxes", classes=(Class(name="a"), Class(name="b")))
    stored, plan = prepare(samples, Preprocess(center=Center(size=(12, 16)), standardise=True), card)
    assert stored.shape == (2, 28, 28, 1)
    plan = fit_statistics(plan, stored, np.arange(2))
    assert Plan.from_json(plan.to_json()) == plan and plan.output_size == (12, 16)
    x = apply(plan, stored)
    assert x.shape == (2, 1, 12, 16)
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-5)
