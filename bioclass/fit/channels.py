"""Weights that were trained on images of C channels, for images of another number of channels.

A single channel takes the sum of the filters of all, each weighed so that a gray image gives what it gives repeated
as RGB, up to a constant. That goes into the bias, or out of the running mean of the batch normalisation that
follows. It is exact but for the rim that the first convolution pads, and where that also feeds a shortcut
(cifar_..._v2).

Of other numbers, channel j takes the filters of channel j mod C, scaled by C over their number, so that RGB
repeated gives what it gives once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.fit.params import Tensors
from bioclass.preprocess import Plan
from bioclass.recipe import Normalisation

Doubles = npt.NDArray[np.float64]

EPSILON = 1e-5
"""What batch normalisation adds to the variance."""


def normalised(plan: Plan, normalisation: Normalisation) -> Plan:
    """Return the plan with this mean and standard deviation in place of those of the training part.

    A single channel has the mean of each, and of other numbers channel j has those of channel j mod C.
    """
    # The plan's are of the values after its own division.
    scale = plan.largest / plan.divisor
    mean, std = (scale * _for_channels(np.array(values), plan.channels) for values in normalisation)
    return plan.model_copy(update={"mean": tuple(mean.tolist()), "std": tuple(std.tolist())})


def adapted_to(fresh: Tensors, tensors: Tensors, normalisation: Normalisation) -> Tensors:
    """Return the weights that depend on the channels of the image, by name; none where the channels are the same.

    Args:
        fresh: the network's own parameters, for their names, order and shapes.
        tensors: weights of the same network for images of other channels.
        normalisation: the mean and standard deviation of those images.
    """
    first = next((name for name, value in fresh.items() if value.ndim == 4), "")
    filters, wanted = tensors.get(first, np.empty(0)).astype(np.float64), fresh[first].shape[1] if first else 0
    channels = len(normalisation.mean)
    if filters.ndim != 4 or filters.shape[1] != channels or wanted == channels:
        return {}
    out = {
        name: _for_channels(tensors[name].astype(np.float64), wanted) for name in _of_image(fresh, tensors, first)
    }
    if wanted == 1:
        there = _seen(normalisation, tensors, list(out))
        gray = Normalisation(*((sum(values) / channels,) for values in normalisation))
        here = _seen(gray, out, list(out))
        out[first] = (filters * (here[1] / there[1])[:, np.newaxis, np.newaxis]).sum(axis=1, keepdims=True)
        constant = (filters.sum(axis=(2, 3)) * ((here[0] - there[0]) / there[1])).sum(axis=1)
        out.update(_absorbed(constant, first, fresh, tensors))
    else:
        out[first] = filters[:, np.arange(wanted) % channels] * (channels / wanted)
    return {name: value.astype(np.float32) for name, value in out.items()}


def _for_channels(values: Doubles, channels: int) -> Doubles:
    rows: Doubles = np.full(1, values.mean()) if channels == 1 else values[np.arange(channels) % len(values)]
    return rows


def _of_image(fresh: Tensors, tensors: Tensors, first: str) -> list[str]:
    """Names of the batch normalisation of the image itself, which resnet_v2 has before its first convolution."""
    names = list(fresh)
    return [name for name in names[: names.index(first)] if name in tensors]


def _seen(normalisation: Normalisation, tensors: Mapping[str, Any], norm: list[str]) -> tuple[Doubles, Doubles]:
    """Mean and standard deviation of each channel by which the first convolution sees the image normalised."""
    mean, std = (np.array(values, dtype=np.float64) for values in normalisation)
    found = {name.rpartition(".")[2]: tensors[name] for name in norm}
    if "running_mean" not in found:
        return mean, std
    mean += std * found["running_mean"]
    std *= np.sqrt(found["running_var"] + EPSILON)
    return mean, std


def _absorbed(constant: Doubles, first: str, fresh: Tensors, tensors: Tensors) -> dict[str, Doubles]:
    """The bias, or the running mean of the batch normalisation that follows, which takes up the constant."""
    bias = first.removesuffix("weight") + "bias"
    if bias in tensors:
        return {bias: tensors[bias] + constant}
    names = list(fresh)
    norm = next((name for name in names[names.index(first) :] if name.endswith("running_mean")), "")
    if norm in tensors and tensors[norm].shape == constant.shape:
        return {norm: tensors[norm] - constant}
    return {}
