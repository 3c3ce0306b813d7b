"""What a network starts from: pretrained weights where they fit, random ones elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bioclass.errors import WeightsError
from bioclass.fit.channels import adapted_to
from bioclass.fit.params import Tensors
from bioclass.fit.task import Task, Trainer
from bioclass.fit.weights import Weights
from bioclass.networks import build
from bioclass.networks.parameters import head, parameters
from bioclass.predict import input_shape

LEAST = 0.75
"""Share of a network's parameters, and of a file's, that must find each other for them to be of one network."""

_SHOWN = 6


@dataclass(frozen=True)
class Start:
    """The parameters that a network starts from, and where each comes from.

    Attributes:
        weights: what they were taken from.
        tensors: all parameters by name.
        loaded: the names of those taken as they are.
        adapted: those of the first layers, taken for another number of channels.
        new: those that the file does not have, or not in this shape, drawn at random; with the reason.
        skipped: the names of the file's that have no place.
    """

    weights: Weights
    tensors: Tensors
    loaded: tuple[str, ...]
    adapted: tuple[str, ...]
    new: dict[str, str]
    skipped: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return for the run folder what was used and what became of it; what is not named there was loaded."""
        return {
            "source": self.weights.source,
            "sha256": self.weights.sha256,
            "loaded": len(self.loaded),
            "adapted": list(self.adapted),
            "new": self.new,
            "skipped": list(self.skipped),
        }

    def words(self) -> str:
        """Return the same for people, in a few lines."""
        lines = [
            f"Starting from {self.weights.path} (sha256 {self.weights.sha256[:12]}...): "
            f"{len(self.loaded)} of {len(self.tensors)} parameters loaded"
        ]
        if self.adapted:
            lines.append(f"  adapted to the channels of these images: {', '.join(self.adapted)}")
        if self.new:
            lines.append(f"  new: {_some([f'{name} ({why})' for name, why in self.new.items()])}")
        skipped = [name for name in self.skipped if name not in self.new]
        if skipped:
            lines.append(f"  not used: {_some(skipped)}")
        return "\n".join(lines)


def begin(task: Task, trainer: Trainer, weights: Weights) -> Start:
    """Let a trainer that has not begun start from these weights.

    Raises:
        WeightsError: they are of another network.
    """
    tensors = trainer.tensors()
    net = build(task.recipe.network, input_shape(task.plan), len(task.classes))
    start = start_from(weights, net, tensors["weights"], task.classes)
    trainer.restore({kind: start.tensors if kind in ("weights", "average") else of for kind, of in tensors.items()})
    return start


def start_from(weights: Weights, net: Any, fresh: Tensors, classes: tuple[str, ...]) -> Start:
    """Return what a network starts from: the weights, where name and shape are equal, and ``fresh`` elsewhere.

    The layer of the classes is taken only from a run of the same classes, or, from a file, for as many of them.
    The first layers are adapted to another number of channels, see :mod:`~bioclass.fit.channels`.

    Args:
        weights: the weights.
        net: the network, for its names.
        fresh: all its parameters as they are drawn at random.
        classes: the names of the classes.

    Raises:
        WeightsError: they are of another network.
    """
    tensors = _by_structure(weights, net)
    adapted = adapted_to(fresh, tensors, weights.normalisation)
    last = head(net)
    other_classes = weights.classes not in (None, classes)
    taken, new = {}, {}
    for name, own in fresh.items():
        if name in adapted and adapted[name].shape == own.shape:
            taken[name] = adapted[name]
        elif name not in tensors:
            new[name] = "not there"
        elif name in last and other_classes:
            new[name] = "other classes"
        elif tensors[name].shape != own.shape:
            new[name] = f"{_by(tensors[name].shape)} there, {_by(own.shape)} here"
        else:
            taken[name] = tensors[name]
    skipped = tuple(name for name in tensors if name not in taken)
    body, foreign = [name for name in fresh if name not in last], [name for name in skipped if name not in fresh]
    if len(taken) < LEAST * len(body) or len(foreign) > (1 - LEAST) * len(tensors):
        raise WeightsError(
            f"{weights.path} holds the weights of another network: {len(taken)} of its {len(tensors)} parameters "
            f"have the name and shape of one of the {len(fresh)} here."
        )
    return Start(
        weights=weights,
        tensors={name: taken.get(name, own) for name, own in fresh.items()},
        loaded=tuple(name for name in taken if name not in adapted),
        adapted=tuple(adapted),
        new=new,
        skipped=skipped,
    )


def _by_structure(weights: Weights, net: Any) -> Tensors:
    """The weights by structural name; GluonCV's older files name them as the network counts them."""
    if any("." in name for name in weights.tensors):
        aliases = net._collect_params_with_prefix()
        first = {id(parameter): name for name, parameter in parameters(net).items()}
        # Files hold what has two names twice.
        return {
            name: value
            for name, value in weights.tensors.items()
            if name not in aliases or first[id(aliases[name])] == name
        }
    counted = {parameter.name.removeprefix(net.prefix): name for name, parameter in parameters(net).items()}
    return {counted.get(name, name): value for name, value in weights.tensors.items()}


def _some(words: list[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else "")


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
