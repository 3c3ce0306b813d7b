"""The resizing in an exported graph is that of the training, whatever the size of the image."""

from __future__ import annotations

import numpy as np
import pytest

from bioclass.preprocess import resized

onnx = pytest.importorskip("onnx", reason="the extra bioclass[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra bioclass[onnx] is not installed")

from bioclass.export.nodes import Nodes  # noqa: E402
from bioclass.export.resize import resize_nodes  # noqa: E402
from bioclass.exported import open_session  # noqa: E402

SIZES = [(28, 28), (31, 77), (150, 211), (5, 4), (2, 9), (1, 1), (1, 7), (14, 14), (56, 56), (57, 40)]


def graph(size: tuple[int, int], mode: str, dtype: str, channels: int) -> bytes:
    add = Nodes("")
    stored = np.dtype(dtype)
    values = add.cast(add("Transpose", "images", perm=[0, 3, 1, 2]), "float64")
    out = add("Transpose", resize_nodes(add, values, size, mode, stored), perm=[0, 2, 3, 1])
    make = onnx.helper.make_tensor_value_info
    kind = onnx.helper.np_dtype_to_tensor_dtype(stored)
    given = make("images", kind, ("batch", "height", "width", channels))
    made = make(out, onnx.TensorProto.DOUBLE, ("batch", *size, channels))
    whole = onnx.helper.make_graph(add.nodes, "resize", [given], [made], add.constants)
    model = onnx.helper.make_model(whole, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int32"])
@pytest.mark.parametrize("mode", ["stretch", "pad"])
@pytest.mark.parametrize("size", [(28, 28), (30, 17), (3, 5)])
def test_it_is_that_of_the_training(size: tuple[int, int], mode: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    session = open_session(graph(size, mode, dtype, 3))
    different = total = 0
    for height, width in SIZES:
        shape = (2, height, width, 3)
        drawn = rng.random(shape) if dtype.startswith("float") else rng.integers(0, 250, shape)
        images = drawn.astype(dtype)
        expected = np.stack([resized(image, size, mode) for image in images]).astype(np.float64)
        found = session.run(None, {"images": images})[0]
        if dtype.startswith("float"):
            np.testing.assert_allclose(found, expected, rtol=0, atol=5e-7)
        else:
            # A value that lies between two integers may fall to the other side.
            assert np.abs(found - expected).max() <= 1
            different += int((found != expected).sum())
            total += expected.size
    assert different <= 1e-3 * total


@pytest.mark.parametrize("mode", ["stretch", "pad"])
def test_an_image_of_the_size_stays_as_it_is(mode: str) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, 20, 24, 1)).astype(np.uint8)
    found = open_session(graph((20, 24), mode, "uint8", 1)).run(None, {"images": images})[0]
    assert np.array_equal(found, images)
