"""The centering in an exported graph is that of the training, image by image."""

from __future__ import annotations

import numpy as np
import pytest

from bioclass.preprocess import centred, fineness
from bioclass.recipe import Center

onnx = pytest.importorskip("onnx", reason="the extra bioclass[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra bioclass[onnx] is not installed")

from bioclass.export.center import center_nodes  # noqa: E402
from bioclass.export.nodes import Nodes  # noqa: E402
from bioclass.exported import open_session  # noqa: E402

TYPES = ["uint8", "uint16", "int8", "int16", "int32", "uint32", "float16", "float32", "float64"]
SIZES = [(28, 28), (31, 77), (64, 40), (5, 4), (1, 7), (7, 1), (1, 1)]
NEW = [(20, 20), (13, 31), (40, 64)]


def in_graph(images: np.ndarray, center: Center, largest: float) -> np.ndarray:
    size, channels, stored = images.shape[1:3], images.shape[3], images.dtype
    add = Nodes("")
    values = add.cast(add("Transpose", "images", perm=[0, 3, 1, 2]), "float64")
    out = add("Transpose", center_nodes(add, values, size, center, largest, stored), perm=[0, 2, 3, 1])
    make = onnx.helper.make_tensor_value_info
    given = make("images", onnx.helper.np_dtype_to_tensor_dtype(stored), ("batch", *size, channels))
    made = make(out, onnx.TensorProto.DOUBLE, ("batch", *center.size, channels))
    whole = onnx.helper.make_graph(add.nodes, "center", [given], [made], add.constants)
    model = onnx.helper.make_model(whole, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return open_session(model.SerializeToString()).run(None, {"images": images})[0]


def boxed(rng: np.random.Generator, shape: tuple[int, ...], noise: float) -> np.ndarray:
    """Noise in a box of each image, 0 to 1, on a background that is noisy too; the last image is all background."""
    images = np.full(shape, 0.2)
    for image in images[:-1]:
        height, width = (rng.integers(1, side + 1) for side in shape[1:3])
        top, left = rng.integers(0, shape[1] - height + 1), rng.integers(0, shape[2] - width + 1)
        image[top : top + height, left : left + width] = rng.random((height, width, shape[3]))
    return images + noise * rng.random(shape)


@pytest.mark.parametrize("tolerance", [0.0, 0.04])
@pytest.mark.parametrize("dtype", TYPES)
def test_it_is_that_of_the_training(dtype: str, tolerance: float) -> None:
    rng = np.random.default_rng(1)
    stored = np.dtype(dtype)
    largest = 1.0 if stored.kind == "f" else min(float(np.iinfo(stored).max), 1e6)
    different = total = 0
    for size in SIZES:
        for new, channels in zip(NEW, (1, 3, 2), strict=True):
            drawn = boxed(rng, (6, *size, channels), 0.01 if tolerance else 0.0) * largest * 0.99
            images = (drawn if stored.kind == "f" else np.rint(drawn)).astype(stored)
            center = Center(size=new, tolerance=tolerance)
            expected = centred(images, center, largest).astype(np.float64)
            found = in_graph(images, center, largest)
            if stored.itemsize == 2 and stored.kind != "f":
                # OpenCV adds them up in float32, which holds no half of a large value.
                assert np.abs(found - expected).max() <= 1
                different += int((found != expected).sum())
                total += expected.size
            elif dtype in ("float32", "float64"):
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 if dtype == "float64" else 3e-7)
            else:
                np.testing.assert_array_equal(found, expected)
    assert different <= 1e-3 * total


def test_the_shapes_hold_what_is_hard() -> None:
    assert {fineness(size, new) for size in SIZES for new in NEW} >= {1, 2, 3}


def test_an_empty_image_is_scaled_as_it_is() -> None:
    images = np.full((2, 9, 7, 3), 6, np.uint8)
    images[1, 4, 3, 1] = 7
    center = Center(size=(5, 6), tolerance=1 / 255)
    np.testing.assert_array_equal(in_graph(images, center, 255), centred(images, center, 255))


def test_the_answer_does_not_depend_on_the_batch() -> None:
    images = np.rint(boxed(np.random.default_rng(3), (5, 50, 61, 3), 0.01) * 250).astype(np.uint8)
    center = Center(size=(20, 24), tolerance=0.04)
    alone = np.concatenate([in_graph(image[None], center, 255) for image in images])
    np.testing.assert_array_equal(in_graph(images, center, 255), alone)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_median_between_two_gray_levels(dtype: str) -> None:
    images = np.zeros((1, 6, 6, 1), dtype)
    images[:, :3] = 1  # Half of the border: the median is a half, which stands for 0.
    images[:, 2, 2] = 3
    center = Center(size=(4, 4))
    np.testing.assert_array_equal(in_graph(images, center, 255), centred(images, center, 255))
