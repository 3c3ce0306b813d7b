"""Convolutions and matrix products in bfloat16, on processors that have instructions for it.

A bfloat16 has the range of a float32 and 8 bits of precision, a float32 24; sums are taken in float32. Without the
instructions MXNet 1.9.1 takes two to three times as long as in float32, and fails where there is no AVX-512.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bioclass.backend import import_amp, mx
from bioclass.errors import DeviceError
from bioclass.networks.blocks import processor_flags

WISHES = "--bfloat16, or fit.precision of a recipe"
INSTRUCTIONS = frozenset(("avx512_bf16", "amx_bf16"))


def check_bfloat16(context: Any) -> None:
    """Refuse a context that does not compute in bfloat16, or not fast.

    Raises:
        DeviceError: it is a GPU, or a processor without the instructions.
    """
    if context.device_type != "cpu":
        raise DeviceError(
            f"bfloat16 is for processors, not for {context}: use --device cpu, or leave out {WISHES}."
        )
    if not INSTRUCTIONS & processor_flags():
        raise DeviceError(
            "This processor has no instructions for bfloat16 (avx512_bf16 or amx_bf16), without which it would be "
            f"slower than float32: leave out {WISHES}."
        )


def trained_in_bfloat16(net: Any) -> Any:
    """Return a block on the parameters of a network that computes, and its gradients, in bfloat16.

    The parameters, what is done with their gradients, the running statistics and the scores stay float32. Depthwise
    and grouped convolutions do so too: oneDNN of MXNet 1.9.1 has no bfloat16 for the gradients of some of them.

    Args:
        net: a network whose shapes are known; its blocks are left as they are.
    """
    images = mx.sym.var("data")
    scores = net(images)
    nodes = json.loads(scores.tojson())["nodes"]
    grouped = [node["name"] for node in nodes if int(node.get("attrs", {}).get("num_group", "1")) > 1]
    with _untyped():
        low = import_amp().convert_symbol(
            scores, target_dtype="bfloat16", excluded_sym_names=grouped, cast_optional_params=False
        )
        return mx.gluon.SymbolBlock(mx.sym.amp_cast(low, dtype="float32"), [images], params=net.collect_params())


def in_bfloat16(net: Any, images: Any) -> Callable[[Any], Any]:
    """Return what computes as a network does with the weights that it has now, but in bfloat16.

    Args:
        net: a hybridized network on the processor; it is left as it is.
        images: an NDArray (N, C, H, W) as it will be given.

    Returns:
        A function from float32 images (N, C, H, W) to float32 scores (N, K), both NDArrays.
    """
    net(images)  # What is converted is the graph, which the first call makes.
    with _untyped():
        low = import_amp().convert_hybrid_block(net, target_dtype="bfloat16", ctx=mx.cpu())
    low.hybridize(static_alloc=True, static_shape=True)
    return lambda x: mx.nd.amp_cast(low(x), dtype="float32")


@contextmanager
def _untyped() -> Iterator[None]:
    """Do not warn that the input has no type yet: the first call gives it one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Cannot decide type", UserWarning)
        yield
