"""The parameters of a network by name."""

from __future__ import annotations

from typing import Any


def parameters(net: Any) -> dict[str, Any]:
    """Return a network's parameters by structural name ("conv1.weight"), in the order of its layers.

    One that a network has under two names, as googlenet its last layer, is there once, under the first.
    """
    first: dict[int, str] = {}
    named: dict[str, Any] = net._collect_params_with_prefix()
    for name, parameter in named.items():
        first.setdefault(id(parameter), name)
    return {name: named[name] for name in first.values()}


def head(net: Any) -> list[str]:
    """Return the names of the parameters that make the classes of the features: the last weight, and its bias."""
    named = parameters(net)
    last = [name for name in named if name.endswith("weight")][-1]
    return [name for name in (last, last.removesuffix("weight") + "bias") if name in named]
