"""Convolution and pooling that can compute with channels filled up to whole blocks of the processor's vectors.

oneDNN has fast direct convolutions for channel counts that are multiples of 16 (AVX-512) or 8 (AVX2); for other
counts, the 20 and 50 of LeNet, MXNet 1.9.1 falls back on im2col and a matrix product. Filters of zeros make up
the difference: the parameters keep their shapes, what is computed stays the same up to rounding, and the added
channels are dropped before anything could see them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from bioclass.backend import mx


class Conv2D(mx.gluon.nn.Conv2D):  # type: ignore[misc]
    """Gluon's Conv2D, which pads its output channels to a multiple of ``block``.

    With ``padded_input`` its input comes padded like that already.
    """

    block = 1
    padded_input = False

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any) -> Any:  # noqa: N803
        """Compute (N, padded channels, H', W')."""
        channels, inputs = self._channels, self.weight.shape[1]
        kernel = self._kwargs["kernel"]
        more = _fill(channels, self.block)
        more_inputs = _fill(inputs, self.block) if self.padded_input else 0
        if more_inputs:
            weight = F.concat(weight, F.zeros((channels, more_inputs, *kernel)), dim=1)
        if more:
            weight = F.concat(weight, F.zeros((more, inputs + more_inputs, *kernel)), dim=0)
            bias = F.concat(bias, F.zeros((more,)), dim=0)
        return F.Convolution(x, weight, bias, **{**self._kwargs, "num_filter": channels + more})


class MaxPool2D(mx.gluon.nn.MaxPool2D):  # type: ignore[misc]
    """Gluon's MaxPool2D, which passes on ``keep`` channels and drops what was padded; None keeps all."""

    keep: int | None = None

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803
        """Compute (N, kept channels, H', W')."""
        pooled = super().hybrid_forward(F, x)
        return pooled if self.keep is None else F.slice_axis(pooled, axis=1, begin=0, end=self.keep)


def use_blocks(net: Any, block: int) -> None:
    """Let a chain of layers compute its convolutions in whole blocks; other networks are left as they are.

    Padding is carried from one convolution through its pooling into the next, and dropped at the last pooling.
    """
    layers = list(net._children.values())
    stages = []
    for at, conv in enumerate(layers):
        if isinstance(conv, Conv2D):
            pool = next((layer for layer in layers[at + 1 :] if isinstance(layer, MaxPool2D)), None)
            if pool is None:
                return
            stages.append((conv, pool))
    for number, (conv, pool) in enumerate(stages):
        conv.block = block
        conv.padded_input = number > 0
        last = number == len(stages) - 1
        pool.keep = conv._channels if last and _fill(conv._channels, block) else None


@cache
def vector_block() -> int:
    """Return the channels in a block of this processor: 16 with AVX-512, 8 with AVX2, else 1, no padding."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return 1
    return 16 if "avx512bw" in flags else 8 if "avx2" in flags else 1


def _fill(channels: int, block: int) -> int:
    return -channels % block
