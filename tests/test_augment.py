"""Variants of training images: what each step does, by index and at random, sampled once."""

import numpy as np
import pytest
from scipy import ndimage

from bioclass.augment import Augmenter, Variants, decode
from bioclass.augment.draws import keys, uniform
from bioclass.augment.elastic import fields
from bioclass.augment.geometric import Stage, merged_map
from bioclass.augment.photometric import STAINS
from bioclass.errors import RecipeError
from bioclass.geometry import sample
from bioclass.preprocess import Input, Plan
from bioclass.recipe import (
    Augment,
    Brightness,
    Center,
    Contrast,
    Elastic,
    Flip,
    Noise,
    Rotation,
    Scale,
    Stain,
    Translation,
    Turn,
)

EVERY = (
    Translation(),
    Rotation(),
    Elastic(),
    Scale(),
    Flip(axes=("horizontal", "vertical")),
    Turn(),
    Brightness(),
    Contrast(),
    Stain(),
    Noise(),
)


def plan(height=28, width=28, channels=1, center=None, dtype="uint8", bit_depth=8):
    return Plan(
        input=Input(channels=channels, dtype=dtype, bit_depth=bit_depth),
        size=(height, width),
        resize=None,
        center=center,
        divisor=1.0 if bit_depth is None else 2.0**bit_depth - 1,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        channels=channels,
    )


def blobs(n=6, height=28, width=28, channels=1, dtype="uint8", seed=0):
    """Bright smooth shapes on black, away from the border."""
    rng = np.random.default_rng(seed)
    values = np.zeros((n, height, width, channels))
    inner = values[:, height // 4 : -(height // 4), width // 4 : -(width // 4)]
    inner[:] = rng.random(inner.shape)
    values = ndimage.gaussian_filter(values, (0, 1.5, 1.5, 0))
    top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1.0
    return (values / values.max() * top).astype(dtype)


def variants(images, *steps, center=None, **settings):
    _, height, width, channels = images.shape
    spec = Augment(mode="enumerated", steps=steps, **settings)
    depth = None if images.dtype.kind == "f" else images.dtype.itemsize * 8
    return Variants(Augmenter(spec, plan(height, width, channels, center, images.dtype.name, depth)), images)


# The study's sets


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        ((), 60_000),
        ((Elastic(),), 300_000),
        ((Translation(),), 300_000),
        ((Rotation(),), 300_000),
        ((Translation(), Elastic()), 1_500_000),
        ((Rotation(), Elastic()), 1_500_000),
        ((Elastic(), Elastic()), 1_500_000),
    ],
)
def test_the_sets_have_the_sizes_of_table_4(steps, count):
    """And nothing of them is in memory: the images here take none."""
    images = np.broadcast_to(np.zeros((28, 28, 1), np.uint8), (60_000, 28, 28, 1))
    assert len(variants(images, *steps)) == count


def test_the_originals_are_in_every_set():
    images = blobs()
    for steps in ((Rotation(),), (Translation(), Rotation()), (Elastic(), Elastic()), (Flip(), Noise())):
        made = variants(images, *steps)
        np.testing.assert_array_equal(made[:: made.augmenter.augment.variants], images)


def test_translations_are_up_down_left_right():
    images = blobs(1)
    made = variants(images, Translation(pixels=3))
    shifts = [(-3, 0), (3, 0), (0, -3), (0, 3)]
    for i, (down, across) in enumerate(shifts, 1):
        np.testing.assert_array_equal(made[i], np.roll(images[0], (down, across), (0, 1)))


def test_rotation_is_scipys_counterclockwise():
    images = blobs(2, dtype="float64", height=30, width=41)
    made = variants(images, Rotation(angles=(16.0, -30.0)))
    for i, angle in ((1, 16), (2, -30)):
        wanted = ndimage.rotate(images[0, :, :, 0], angle, reshape=False, order=1)
        np.testing.assert_allclose(made[i][:, :, 0], wanted, atol=0.03)


def test_scale_enlarges_about_the_centre():
    images = blobs(1, height=31, width=31)
    larger, smaller = variants(images, Scale(factors=(2.0, 0.5)))[1:3]
    assert larger[15, 15] == smaller[15, 15] == images[0, 15, 15]
    np.testing.assert_array_equal(larger[1::2, 1::2], images[0, 8:23, 8:23])
    np.testing.assert_array_equal(smaller[8:23, 8:23], images[0, 1::2, 1::2])


def test_flips_and_turns_move_pixels_only():
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 3), dtype=np.uint8)
    flips = variants(images, Flip(axes=("horizontal", "vertical")))
    np.testing.assert_array_equal(flips[1], images[0][:, ::-1])
    np.testing.assert_array_equal(flips[2], images[0][::-1])
    turns = variants(images, Turn())
    for quarters in range(4):
        np.testing.assert_array_equal(turns[quarters], np.rot90(images[0], quarters))


@pytest.mark.parametrize("random", [False, True])
def test_flips_and_turns_alone_are_those_of_the_map(random):
    images = np.random.default_rng(0).integers(0, 256, (200, 6, 6, 2), dtype=np.uint8)
    steps = (Flip(axes=("horizontal", "vertical")), Turn(), Flip(axes=("vertical", "horizontal")))
    spec = Augment(mode="random" if random else "enumerated", steps=steps)
    augmenter = Augmenter(spec, plan(6, 6, 2))
    rows = np.arange(200)
    if random:
        made, of, choices = augmenter.random(images, rows), keys(0, 0, rows), [None] * 3
    else:
        number = rows % spec.variants
        made, of, choices = augmenter.enumerated(images, rows, number), keys(0, rows, number), decode(spec, number)
    stages = [Stage(step, i, choices[i]) for i, step in enumerate(steps)]
    np.testing.assert_array_equal(made, sample(images, merged_map(stages, of, (6, 6), "edge")))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0), (1, 1, 0)])
def test_a_chain_is_its_steps_in_order_but_sampled_once(order):
    images = ndimage.gaussian_filter(np.random.default_rng(1).random((3, 64, 80, 1)), (0, 3, 3, 0)) * 255
    steps = (Rotation(angles=(-20.0, 20.0)), Elastic(sigma=10, strength=3), Translation(pixels=2.5))
    choices = ([1, 2, 1], [1, 1, 1], [4, 1, 2])
    stages = [Stage(steps[i], place, np.array(choices[i])) for place, i in enumerate(order)]
    of = keys(0, np.arange(3))
    once = sample(images, merged_map(stages, of, (64, 80), "edge"))
    in_turn = images
    for stage in stages:
        in_turn = sample(in_turn, merged_map([stage], of, (64, 80), "edge"))
    inner = np.s_[:, 16:-16, 16:-16]
    assert np.abs(once - in_turn)[inner].mean() < 0.1 * np.abs(images - in_turn)[inner].mean()
    # What is sampled several times is blurred.
    if len(set(order)) == 3:
        assert np.var(np.diff(once, axis=1)[inner]) > np.var(np.diff(in_turn, axis=1)[inner])


# Elastic fields


def test_strength_is_what_its_unit_says():
    of = keys(np.arange(2000))
    largest = fields(Elastic(unit="maximum", strength=4), of, 0, (28, 28))
    np.testing.assert_allclose(np.sqrt((largest**2).sum(axis=1)).reshape(2000, -1).max(axis=1), 4, rtol=1e-5)
    spread = fields(Elastic(unit="deviation", strength=1.5), of, 0, (28, 28))
    np.testing.assert_allclose(spread.std(axis=0).mean(), 1.5, rtol=0.02)
    # The same everywhere: no trace of the lattice that the noise is drawn on.
    assert np.ptp(spread.std(axis=(0, 1))) < 0.15


def test_simards_unit_is_smoothed_noise_times_strength():
    rng = np.random.default_rng(0)
    literal = [ndimage.gaussian_filter(rng.uniform(-1, 1, (100, 100)), 6)[30:70, 30:70] * 4 for _ in range(150)]
    ours = fields(Elastic(unit="simard", sigma=6, strength=4), keys(np.arange(2000)), 0, (28, 28))
    np.testing.assert_allclose(ours.std(), np.std(literal), rtol=0.05)


def test_the_field_is_as_smooth_as_its_sigma():
    """White noise after a Gaussian of sigma has the correlation exp(-d^2 / 4 sigma^2) at distance d."""
    out = fields(Elastic(unit="deviation", sigma=6), keys(np.arange(4000)), 0, (28, 28))
    for distance in (3, 6, 12):
        found = (out[:, 0, 10, 4] * out[:, 0, 10, 4 + distance]).mean() / out[:, 0].var()
        np.testing.assert_allclose(found, np.exp(-(distance**2) / (4 * 36)), atol=0.06)
    across, down = out[:, 0, 10, 10], out[:, 1, 10, 10]
    assert abs(np.corrcoef(across, down)[0, 1]) < 0.06


def test_every_image_and_variant_has_a_field_of_its_own():
    images = np.repeat(blobs(1), 2, axis=0)
    made = variants(images, Elastic())
    assert len(np.unique(made[np.arange(10)].reshape(10, -1), axis=0)) == 9  # two originals are one


# By index


@pytest.mark.parametrize("center", [None, Center()])
def test_a_variant_is_the_same_in_any_batch(center):
    images = blobs(40)
    made = variants(images, Rotation(), Elastic(), center=center)
    chosen = np.random.default_rng(0).permutation(len(made))[:60]
    together = made[chosen]
    np.testing.assert_array_equal(together, np.stack([made[int(i)] for i in chosen]))
    np.testing.assert_array_equal(together[::-1], made[chosen[::-1]])


def test_random_draws_depend_on_seed_and_position_alone():
    images = blobs(8, channels=3)
    spec = Augment(steps=EVERY)
    first = Augmenter(spec, plan(channels=3), seed=1).random(images, np.arange(8))
    again = Augmenter(spec, plan(channels=3), seed=1).random(images[3:5], np.arange(3, 5))
    np.testing.assert_array_equal(first[3:5], again)
    assert (Augmenter(spec, plan(channels=3), seed=2).random(images, np.arange(8)) != first).any()
    assert (Augmenter(spec, plan(channels=3), seed=1).random(images, np.arange(8, 16)) != first).any()


def test_enumerated_sets_do_not_depend_on_the_training_seed():
    images, rows = blobs(5), np.arange(5)
    spec = Augment(mode="enumerated", steps=(Elastic(),))
    one, other = (Augmenter(spec, plan(), seed).enumerated(images, rows, np.full(5, 2)) for seed in (1, 2))
    np.testing.assert_array_equal(one, other)
    moved = Augmenter(spec.model_copy(update={"seed": 1}), plan()).enumerated(images, rows, np.full(5, 2))
    assert (moved != one).any()


def test_the_last_steps_variants_run_fastest():
    spec = Augment(mode="enumerated", steps=(Rotation(), Flip(), Elastic()))
    assert spec.variants == 5 * 2 * 5
    np.testing.assert_array_equal(
        decode(spec, np.array([0, 1, 5, 10, 49])).T, [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [4, 1, 4]]
    )


def test_an_index_outside_the_set_is_refused():
    made = variants(blobs(2), Rotation())
    np.testing.assert_array_equal(made[-1], made[9])
    with pytest.raises(IndexError, match="10 variants"):
        made[10]


def test_draws_are_uniform_and_independent():
    draws = uniform(keys(7, np.arange(50_000)), 2, 3)
    assert draws.min() >= 0 and draws.max() < 1
    np.testing.assert_allclose(draws.mean(axis=0), 0.5, atol=0.006)
    np.testing.assert_allclose(draws.var(axis=0), 1 / 12, rtol=0.03)
    other = uniform(keys(7, np.arange(50_000)), 3, 1)
    for pair in ((draws[:, 0], draws[:, 1]), (draws[1:, 0], draws[:-1, 0]), (draws[:, 0], other[:, 0])):
        assert abs(np.corrcoef(*pair)[0, 1]) < 0.02


# At random


def drawn(step, n=3000, size=28):
    """What a random step does to places: the map of n draws, less the identity."""
    return merged_map([Stage(step, 0, None)], keys(np.arange(n)), (size, size), "edge")


def test_random_translations_fill_the_square():
    shifts = drawn(Translation(pixels=3))[:, :, 0, 0]
    assert np.abs(shifts).max() <= 3
    np.testing.assert_allclose(shifts.std(axis=0), 3 / np.sqrt(3), rtol=0.05)


def test_random_rotations_lie_between_the_outermost_angles():
    across = drawn(Rotation(angles=(-16.0, 8.0)), size=29)[:, :, 14, 28] - 14
    angle = np.rad2deg(np.arctan2(across[:, 1], across[:, 0]))
    # To the source and on a screen: the angle itself.
    assert angle.min() >= -16.01 and angle.max() <= 8.01 and angle.min() < -15 and angle.max() > 7


def test_random_flips_are_fair():
    made = drawn(Flip(axes=("horizontal",)))
    share = (made[:, 0, 0, 0] > 0).mean()
    assert 0.46 < share < 0.54 and (made[:, 1, 0, 0] == 0).all()


# Values


def test_brightness_and_contrast_are_linear_and_clipped():
    images = blobs(1) // 2 + 50
    image = images[0].astype(float)
    shifted = variants(images, Brightness(shifts=(0.2, -0.4)))
    np.testing.assert_array_equal(shifted[1], np.rint(image + 51).clip(0, 255))
    np.testing.assert_array_equal(shifted[2], np.rint(image - 102).clip(0, 255))
    stretched = variants(images, Contrast(factors=(1.5,)))[1]
    np.testing.assert_allclose(stretched, (1.5 * (image - image.mean()) + image.mean()).clip(0, 255), atol=0.51)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_brightness_then_contrast_keeps_the_order(dtype):
    images = (blobs(1, dtype=dtype) * 0.4).astype(dtype)
    made = variants(images, Brightness(shifts=(0.25,)), Contrast(factors=(1.5,)))[3]
    largest = {"uint8": 255, "uint16": 65535, "float32": 1.0}[dtype]
    image = images[0].astype(float) + 0.25 * largest
    wanted = 1.5 * (image - image.mean()) + image.mean()
    np.testing.assert_allclose(made, wanted, atol=largest * 0.004)
    assert made.dtype == images.dtype


def test_noise_has_its_deviation():
    images = np.full((2, 100, 100, 1), 120, np.uint8)
    made = variants(images, Noise(deviation=0.05))
    difference = made[1].astype(float) - 120
    np.testing.assert_allclose(difference.std(), 0.05 * 255, rtol=0.05)
    assert abs(difference.mean()) < 0.6
    assert (made[1] != made[2]).mean() > 0.8


def test_a_stain_alone_moves_along_its_colour():
    """An image of one stain stays an image of that stain, where the shifts are small enough to leave it so."""
    density = np.linspace(0.3, 1.2, 64).reshape(1, 8, 8, 1) * STAINS[0]
    images = np.rint(256 * np.exp(-density) - 1).astype(np.uint8)
    spec = Augment(mode="enumerated", steps=(Stain(strength=0.1, draws=40),))
    augmenter = Augmenter(spec, plan(8, 8, 3))
    made = augmenter.enumerated(np.repeat(images, 40, axis=0), np.zeros(40, int), np.arange(1, 41))
    stains = -np.log((made.astype(float) + 1) / 256) @ np.linalg.inv(STAINS)
    original = -np.log((images[0].astype(float) + 1) / 256) @ np.linalg.inv(STAINS)
    change = stains[..., 0] - original[None, ..., 0]
    # s (1 + a) + b: linear in the stain, with a and b up to 0.1.
    for each in change:
        slope, start = np.polyfit(original[..., 0].ravel(), each.ravel(), 1)
        assert abs(slope) < 0.12 and abs(start) < 0.12
    assert (np.abs(stains[..., 1:] - original[None, ..., 1:]) < 0.15).all()
    assert np.ptp(change.mean(axis=(1, 2))) > 0.08


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_step_takes_every_kind_of_image(dtype, channels):
    images = blobs(4, 20, 20, channels, dtype)
    steps = (
        EVERY
        if channels == 3 and dtype != "float32"
        else tuple(step for step in EVERY if not isinstance(step, Stain))
    )
    depth = None if dtype == "float32" else np.dtype(dtype).itemsize * 8
    augmenter = Augmenter(Augment(steps=steps, border="reflect"), plan(20, 20, channels, None, dtype, depth))
    made = augmenter.random(images, np.arange(4))
    assert made.shape == images.shape and made.dtype == images.dtype and (made != images).any()


def test_values_stay_in_the_bit_depth():
    images = blobs(2, dtype="uint16") >> 4
    spec = Augment(mode="enumerated", steps=(Brightness(shifts=(0.9,)),))
    made = Augmenter(spec, plan(dtype="uint16", bit_depth=12)).enumerated(images, np.arange(2), np.ones(2, int))
    assert made.max() == 4095


# Refusals


def test_turns_want_squares():
    with pytest.raises(RecipeError, match=r"'turn' wants square images; these are 20 x 30"):
        Augmenter(Augment(steps=(Turn(),)), plan(20, 30))


@pytest.mark.parametrize("wrong", [{"channels": 1}, {"channels": 3, "dtype": "float32", "bit_depth": None}])
def test_stains_want_rgb_of_whole_numbers(wrong):
    with pytest.raises(RecipeError, match="'stain' wants"):
        Augmenter(Augment(steps=(Stain(),)), plan(**wrong))
