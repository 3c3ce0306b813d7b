"""A chain of layers that computes its convolutions in whole blocks of the processor's vectors.

oneDNN has fast direct convolutions for channel counts that are multiples of 16 (AVX-512) or 8 (AVX2); for others,
the 20 and 50 of LeNet, MXNet 1.9.1 falls back on im2col and a matrix product. So the channels between two
convolutions are computed in two pieces: the whole blocks, and the few that are left over, which are cheap either
way. Many are filled up to a block with filters of zeros. The parameters keep their shapes, and what is computed
stays the same up to rounding.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from bioclass.backend import mx

nn = mx.gluon.nn


class Chain(mx.gluon.nn.HybridSequential):  # type: ignore[misc]
    """Gluon's HybridSequential; with ``block`` set its symbolic graph is computed in blocks of that many channels.

    A graph that is only looked at, or a chain that is not hybridized, is Gluon's own.
    """

    block = 1

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803
        """Compute the layers in turn."""
        if self.block == 1 or F is not mx.sym:
            return super().hybrid_forward(F, x)
        return _in_blocks(F, list(self._children.values()), x, self.block)


class _Piece(NamedTuple):
    """Some of the channels between two layers: ``real`` ones, followed by padding of zeros."""

    x: Any
    real: int | None
    padding: int


def use_blocks(net: Any, block: int) -> None:
    """Let a network that is a chain compute in blocks; others are left as they are. Call it before hybridizing."""
    if isinstance(net, Chain):
        net.block = block


@cache
def processor_flags() -> frozenset[str]:
    """Return the names that Linux has for what the processor can; none where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split() for line in lines if line.startswith("flags")), ()))


def vector_block() -> int:
    """Return the channels in a block of this processor: 16 with AVX-512, 8 with AVX2, else 1, which is no block."""
    flags = processor_flags()
    return 16 if "avx512bw" in flags else 8 if "avx2" in flags else 1


def _in_blocks(F: Any, layers: list[Any], x: Any, block: int) -> Any:  # noqa: N803
    pieces = [_Piece(x, None, 0)]
    for at, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2D) and layer._kwargs["num_group"] == 1 and layer.act is None:
            pieces = _convolve(
                F, layer, pieces, _cuts(layer._channels, block, _feeds_another(layers[at + 1 :])), block
            )
        elif isinstance(layer, nn.MaxPool2D):
            # Padding has done its work in the convolution.
            pieces = [_without_padding(F, p._replace(x=F.Pooling(p.x, **layer._kwargs))) for p in pieces]
        elif isinstance(layer, nn.Activation):
            pieces = [p._replace(x=F.Activation(p.x, act_type=layer._act_type)) for p in pieces]
        else:
            pieces = [_Piece(layer(_joined(F, pieces)), None, 0)]
    return _joined(F, pieces)


def _feeds_another(later: list[Any]) -> bool:
    """Whether the next layer that mixes channels is a convolution."""
    mixing = (layer for layer in later if not isinstance(layer, nn.MaxPool2D | nn.Activation))
    return isinstance(next(mixing, None), nn.Conv2D)


def _cuts(channels: int, block: int, feeds_another: bool) -> list[int]:
    """Where the channels are cut: whole blocks, and a remainder of up to half a block apart from them."""
    rest = channels % block
    if feeds_another and channels > block and 0 < rest <= block // 2:
        return [0, channels - rest, channels]
    return [0, channels]


def _convolve(F: Any, layer: Any, pieces: list[_Piece], cuts: list[int], block: int) -> list[_Piece]:  # noqa: N803
    settings = {key: layer._kwargs[key] for key in ("kernel", "stride", "dilate", "pad")}
    weight = layer.weight.var()
    out = []
    for begin, end in pairwise(cuts):
        count = end - begin
        padding = -count % block
        filters, bias = weight, None if layer.bias is None else layer.bias.var()
        if count < layer._channels:
            filters = F.slice_axis(filters, axis=0, begin=begin, end=end)
            bias = None if bias is None else F.slice_axis(bias, axis=0, begin=begin, end=end)
        if padding:
            filters = F.concat(filters, F.zeros((padding, *layer.weight.shape[1:])), dim=0)
            bias = None if bias is None else F.concat(bias, F.zeros((padding,)), dim=0)
        total, start = None, 0
        for piece in pieces:
            stop = start + (layer.weight.shape[1] if piece.real is None else piece.real)
            part = F.slice_axis(filters, axis=1, begin=start, end=stop) if len(pieces) > 1 else filters
            given = [piece.x, part] if bias is None or start else [piece.x, part, bias]
            answer = F.Convolution(*given, num_filter=count + padding, no_bias=len(given) == 2, **settings)
            total, start = answer if total is None else total + answer, stop
        out.append(_Piece(total, count, padding))
    return out


def _without_padding(F: Any, piece: _Piece) -> _Piece:  # noqa: N803
    if not piece.padding:
        return piece
    return _Piece(F.slice_axis(piece.x, axis=1, begin=0, end=piece.real), piece.real, 0)


def _joined(F: Any, pieces: list[_Piece]) -> Any:  # noqa: N803
    whole = [_without_padding(F, piece).x for piece in pieces]
    return whole[0] if len(whole) == 1 else F.concat(*whole, dim=1)
