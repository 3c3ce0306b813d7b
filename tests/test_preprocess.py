"""The same deterministic steps in training and in prediction."""

import json

import numpy as np
import pytest
from PIL import Image

from bioclass.card import Card, Class
from bioclass.errors import DatasetError, ImageError, RunError
from bioclass.preprocess import Plan, apply, fit_statistics, prepare, read_for, resized
from bioclass.recipe import Preprocess
from bioclass.samples import Samples

RNG = np.random.default_rng(11)


def card(**facts):
    return Card(name="cells", title="Cells", classes=(Class(name="a"), Class(name="b")), **facts)


def checked(images):
    return Samples(images=images, labels=np.zeros(len(images), int)).checked(["a", "b"])


def pixels(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def save(folder, images, suffix=".png"):
    paths = [folder / f"{i:03d}{suffix}" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        if suffix == ".npy":
            np.save(path, image)
        else:
            Image.fromarray(image).save(path)
    return paths


def refused(samples, recipe, facts, *words):
    with pytest.raises(DatasetError) as caught:
        prepare(samples, recipe, facts)
    for word in words:
        assert str(word) in str(caught.value), str(caught.value)
    return str(caught.value)


# prepare


def test_an_array_without_a_step_is_returned_as_it_is(tmp_path):
    images = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(4, 6, 7, 3))
    samples = checked(images)
    out, plan = prepare(samples, Preprocess(), card(channels=3, bit_depth=8))
    assert out is samples.images
    assert isinstance(out, np.memmap)
    assert plan == Plan.from_json(plan.to_json())
    assert (plan.size, plan.resize, plan.divisor, plan.channels) == ((6, 7), None, 255.0, 3)
    assert (plan.mean, plan.std) == ((0, 0, 0), (1, 1, 1))
    assert (plan.input.channels, plan.input.dtype, plan.input.bit_depth) == (3, "uint8", 8)
    same_size, plan = prepare(samples, Preprocess(size=(6, 7)), card())
    assert same_size is samples.images
    assert plan.resize == "stretch"


@pytest.mark.parametrize("limit", ["0", "1000"])
def test_files_are_read_in_order(tmp_path, monkeypatch, limit):
    monkeypatch.setenv("BIOCLASS_MEMORY_LIMIT", limit)
    monkeypatch.setenv("BIOCLASS_CACHE", str(tmp_path / "cache"))
    images = pixels(40, 6, 7, dtype=np.uint16)
    out, plan = prepare(checked(save(tmp_path, images)), Preprocess(), card())
    assert isinstance(out, np.memmap) == (limit == "0")
    np.testing.assert_array_equal(out, images[..., None])
    assert (plan.divisor, plan.input.dtype, plan.input.bit_depth) == (65535.0, "uint16", 16)


def test_gray_stored_as_rgb_is_reduced_where_the_card_says_so(tmp_path):
    images = [np.repeat(pixels(6, 7, 1), 3, axis=2) for _ in range(3)]
    paths = save(tmp_path, images)
    out, plan = prepare(checked(paths), Preprocess(), card(channels=1))
    np.testing.assert_array_equal(out, np.stack(images)[..., :1])
    np.testing.assert_array_equal(read_for(plan, paths[1]), out[1])
    assert prepare(checked(paths), Preprocess(), card())[0].shape == (3, 6, 7, 3)


@pytest.mark.parametrize(
    ("depth", "dtype", "divisor"), [(12, np.uint16, 4095.0), (None, np.uint16, 65535.0), (4, np.uint8, 15.0)]
)
def test_divisor_is_the_range_of_the_bit_depth(depth, dtype, divisor):
    images = np.full((2, 3, 3), 15, dtype)
    assert prepare(checked(images), Preprocess(), card(bit_depth=depth))[1].divisor == divisor
    assert prepare(checked(images), Preprocess(divisor=7.5), card(bit_depth=depth))[1].divisor == 7.5


def test_divisor_of_floats_and_of_types_without_a_known_range():
    assert prepare(checked(RNG.random((2, 3, 3))), Preprocess(), card())[1].divisor == 1.0
    images = np.full((2, 3, 3), 1000, np.int64)
    refused(checked(images), Preprocess(), card(), "int64", "bit_depth", "preprocess.divisor")
    assert prepare(checked(images), Preprocess(), card(bit_depth=10))[1].divisor == 1023.0
    assert prepare(checked(images), Preprocess(divisor=10.0), card())[1].divisor == 10.0


def test_images_that_differ_in_size(tmp_path):
    paths = save(tmp_path, [pixels(*size) for size in ((6, 7), (6, 7), (5, 7), (6, 7), (9, 9), (5, 7))])
    refused(
        checked(paths), Preprocess(), card(),
        "6 x 7 (3 images)", "5 x 7 (2 images)", "9 x 9 (1 image)", "preprocess.size = [H, W]", "[6, 7]",
    )  # fmt: skip
    assert prepare(checked(paths), Preprocess(size=(6, 7)), card())[0].shape == (6, 6, 7, 1)


def test_mixed_channels_and_types_name_two_files(tmp_path):
    images = [pixels(6, 7), pixels(6, 7), pixels(6, 7, 3)]
    refused(
        checked(save(tmp_path, images)),
        Preprocess(),
        card(),
        "000.png",
        "002.png",
        "1 channel(s)",
        "3 channel(s) (RGB) of uint8",
    )
    images = [pixels(6, 7), pixels(6, 7, dtype=np.uint16)]
    refused(checked(save(tmp_path, images)), Preprocess(size=(2, 2)), card(), "000.png", "001.png", "uint16")


def test_unreadable_files_are_listed(tmp_path):
    paths = save(tmp_path, [pixels(6, 7)] * 10)
    for path in paths[:7]:
        path.write_bytes(b"")
    paths[2].unlink()
    message = refused(checked(paths), Preprocess(), card(), "7 of 10 images cannot be used", "000.png is empty")
    assert "There is no file" in message
    assert "004.png" in message
    assert "005.png" not in message
    assert "and 2 more" in message
    refused(checked(paths[:2]), Preprocess(), card(), "2 of 2 images cannot be used")


def test_card_that_disagrees(tmp_path):
    samples = checked(pixels(2, 6, 7, 3))
    refused(samples, Preprocess(), card(channels=1), "channels = 1", "have 3")
    refused(checked(pixels(2, 3, 6, 7)), Preprocess(), card(channels=3), "channel-first")
    refused(samples, Preprocess(), card(bit_depth=16), "bit_depth = 16", "uint8")
    refused(samples, Preprocess(), card(bit_depth=7), "does not fit", "bit_depth = 7")
    refused(checked(RNG.random((2, 6, 7))), Preprocess(), card(bit_depth=8), "bit_depth = 8", "float64")
    deep = np.zeros((3, 6, 7), np.uint16)
    deep[2, 3, 3] = 4096
    refused(checked(deep), Preprocess(), card(bit_depth=12), "'2'", "4096", "bit_depth = 12")
    refused(checked(save(tmp_path, deep)), Preprocess(), card(bit_depth=12), "002.png", "4096")
    refused(
        checked(save(tmp_path, deep)), Preprocess(), card(channels=3), "3 of 3 images", "1 channel(s) (gray), but 3"
    )


def test_pixels_that_are_not_finite(tmp_path):
    images = np.zeros((5, 6, 7), np.float32)
    images[3, 1, 1] = np.nan
    images[4] = np.inf
    refused(checked(images), Preprocess(), card(), "'3'", "NaN or infinite")
    refused(checked(save(tmp_path, images, ".npy")), Preprocess(), card(), "2 of 5", "003.npy", "NaN or infinite")


# Resizing


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_resize_agrees_with_scikit_image_and_keeps_the_type(dtype):
    from skimage.transform import resize

    images = (RNG.random((3, 16, 20, 2)) * 250).astype(dtype)
    for size in ((8, 9), (31, 33), (8, 40)):
        out, _ = prepare(checked(images), Preprocess(size=size, divisor=1.0), card())
        assert out.dtype == dtype
        shrinks = size[0] < 16 or size[1] < 20
        for image, small in zip(images, out, strict=True):
            exact = resize(image.astype(float), size, order=1, anti_aliasing=shrinks)
            np.testing.assert_allclose(small, exact, atol=1e-3 if np.dtype(dtype).kind == "f" else 0.501)


@pytest.mark.parametrize("strip", [1, 200, 1 << 20])
def test_a_large_image_is_resized_in_strips_to_the_same_values(strip, monkeypatch):
    from skimage.transform import resize

    monkeypatch.setattr("bioclass.preprocess.resize.STRIP", strip)
    for image, size in ((pixels(1, 61, 83, 3)[0], (20, 90)), (pixels(1, 5, 300, 1)[0], (3, 7))):
        exact = resize(image.astype(np.float32), size, order=1, anti_aliasing=True, preserve_range=True)
        np.testing.assert_array_equal(resized(image, size, "stretch"), np.rint(exact))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
def test_channels_are_resized_each_for_itself(dtype, channels):
    image = (RNG.random((13, 18, channels)) * 250).astype(dtype)
    for size in ((7, 29), (13, 5), (40, 18)):
        single = [resized(image[..., [c]], size, "stretch") for c in range(channels)]
        whole = resized(image, size, "stretch")
        assert whole.dtype == image.dtype and whole.flags.c_contiguous
        np.testing.assert_array_equal(whole, np.concatenate(single, axis=-1))


def test_resize_of_files_and_of_arrays_is_the_same(tmp_path):
    images = pixels(4, 16, 20, 3)
    recipe = Preprocess(size=(9, 9), resize="pad")
    from_array, plan = prepare(checked(images), recipe, card())
    paths = save(tmp_path, images)
    np.testing.assert_array_equal(prepare(checked(paths), recipe, card())[0], from_array)
    np.testing.assert_array_equal(read_for(plan, paths[2]), from_array[2])


def test_constant_images_stay_constant():
    for dtype, value in ((np.uint8, 255), (np.uint16, 65535), (np.uint8, 0)):
        out, _ = prepare(checked(np.full((1, 17, 23), value, dtype)), Preprocess(size=(5, 31)), card())
        assert (out == value).all()


def test_pad_keeps_the_aspect_and_fills_with_the_median_of_the_border():
    image = np.zeros((1, 10, 20, 2), np.uint8)
    image[..., 0], image[..., 1] = 200, 30
    image[:, 3:7, 5:15] = 90
    out, _ = prepare(checked(image), Preprocess(size=(20, 20), resize="pad"), card())
    assert (out[0, :5, :, 0] == 200).all()
    assert (out[0, 15:, :, 1] == 30).all()
    np.testing.assert_array_equal(out[0, 5:15], image[0])


def test_pad_of_very_narrow_images():
    for shape in ((1, 1, 300), (1, 300, 1), (1, 2, 2)):
        out, _ = prepare(checked(pixels(*shape)), Preprocess(size=(8, 10), resize="pad"), card())
        assert out.shape == (1, 8, 10, 1)


# Statistics and the last step


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_statistics_are_those_of_the_training_rows(monkeypatch, dtype):
    monkeypatch.setattr("bioclass.preprocess.plan._CHUNK_VALUES", 500)
    images = (RNG.random((50, 6, 7, 3)) * [50, 100, 200]).astype(dtype)
    samples = checked(images)
    rows = RNG.permutation(50)[:30]
    _, plan = prepare(samples, Preprocess(divisor=200.0), card())
    fitted = fit_statistics(plan, images, rows)
    values = images[rows].astype(float) / 200
    np.testing.assert_allclose(fitted.mean, values.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(fitted.std, values.std(axis=(0, 1, 2)), rtol=1e-12)
    assert fit_statistics(plan, images, rows[::-1]) == fitted
    assert Plan.from_json(fitted.to_json()) == fitted
    done = apply(fitted, images[rows])
    np.testing.assert_allclose(done.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(done.std(axis=(0, 2, 3)), 1, atol=1e-5)


def test_statistics_of_a_channel_without_variation():
    images = np.full((5, 3, 3, 1), 0.1, np.float32)
    _, plan = prepare(checked(images), Preprocess(), card())
    fitted = fit_statistics(plan, images, np.arange(5))
    assert fitted.std == (1.0,)
    np.testing.assert_allclose(apply(fitted, images), 0, atol=1e-7)
    with pytest.raises(DatasetError, match="no training images"):
        fit_statistics(plan, images, np.array([], int))


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8", "i4", ">u2"])
def test_apply(channels, dtype):
    images = RNG.integers(0, 200, (4, 6, 7, channels)).astype(dtype)
    _, plan = prepare(checked(images), Preprocess(divisor=200.0), card())
    for steps in (plan, fit_statistics(plan, images, np.arange(4))):
        expected = (images.astype(float) / 200 - steps.mean) / steps.std
        done = apply(steps, images)
        assert done.dtype == np.float32
        assert done.flags.c_contiguous
        np.testing.assert_allclose(done, expected.transpose(0, 3, 1, 2), atol=1e-5)
        room = np.empty_like(done)
        assert apply(steps, images, room) is room
        np.testing.assert_array_equal(room, done)
        np.testing.assert_array_equal(apply(steps, images[::2]), done[::2])
        assert apply(steps, images[:0]).shape == (0, channels, 6, 7)


def test_apply_refuses_another_shape():
    images = pixels(2, 6, 7, 3)
    _, plan = prepare(checked(images), Preprocess(), card())
    for wrong in (images[:, :5], images[..., :1], images[0]):
        with pytest.raises(DatasetError, match=r"\(6, 7, 3\).*Got the shape"):
            apply(plan, wrong)


# Prediction


def test_read_for_refuses_what_the_training_did_not_see(tmp_path):
    _, plan = prepare(checked(np.zeros((2, 6, 7), np.uint16)), Preprocess(), card(bit_depth=12))
    right = np.full((6, 7), 4095, np.uint16)
    for image, words in (
        (pixels(6, 7), "uint8 values, but the model was trained on uint16"),
        (pixels(6, 7, 3), r"3 channel\(s\) \(RGB\), but 1"),
        (right + np.uint16(1), "4096.*bit_depth = 12"),
        (right[:5], "5 x 7, but the model was trained on 6 x 7.*preprocess.size"),
    ):
        with pytest.raises(ImageError, match=words):
            read_for(plan, save(tmp_path, [image])[0])
    np.testing.assert_array_equal(read_for(plan, save(tmp_path, [right])[0]), right[..., None])


def test_read_for_a_model_of_floats_and_of_wide_integers(tmp_path):
    values = RNG.integers(-500, 500, (6, 7))
    for dtype in (np.float64, np.float32, np.int16, np.int64):
        _, plan = prepare(checked(np.zeros((2, 6, 7), dtype)), Preprocess(divisor=10.0), card())
        read = read_for(plan, save(tmp_path, [values.astype(dtype)], ".npy")[0])
        assert read.dtype == dtype
        np.testing.assert_array_equal(read[..., 0], values)
        broken = np.full((6, 7), np.nan)
        with pytest.raises(ImageError, match=r"NaN|float32"):
            read_for(plan, save(tmp_path, [broken], ".npy")[0])


# The plan as a file


def test_plan_that_is_malformed():
    _, plan = prepare(checked(pixels(2, 6, 7, 3)), Preprocess(), card())
    good = json.loads(plan.to_json())
    for text, words in (
        ("{", "not valid JSON"),
        ("[]", "table of steps"),
        (json.dumps({**good, "sise": 3}), "did you mean 'size'"),
        (json.dumps({**good, "std": [1.0, 0.0, 1.0]}), "greater than 0"),
        (json.dumps({**good, "mean": [0.0]}), "must agree"),
        (json.dumps({**good, "mean": [0.0, float("nan"), 0.0]}), "mean"),
        (json.dumps({**good, "input": {**good["input"], "dtype": "object"}}), "input.dtype"),
    ):
        with pytest.raises(RunError, match=words):
            Plan.from_json(text)
