"""What a network starts from: pretrained weights where they fit, random ones elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bioclass.card import Card
from bioclass.errors import WeightsError
from bioclass.fit.channels import adapted_to
from bioclass.fit.params import Tensors
from bioclass.fit.task import Task, Trainer
from bioclass.fit.weights import Weights, load_weights
from bioclass.networks import build
from bioclass.networks.parameters import head, parameters
from bioclass.predict import get_weights, input_shape
from bioclass.preprocess import prepare
from bioclass.recipe import Features, Recipe
from bioclass.samples import Samples

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

    def with_new_head(self, last: Iterable[str]) -> Start:
        """Return the same with the layer of the classes, whose names are given, left to a training on features."""
        new = dict.fromkeys(last, "trained on features")
        loaded = tuple(name for name in self.loaded if name not in new)
        return replace(self, loaded=loaded, new={**self.new, **new})

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
        return start_words({**self.document(), "source": str(self.weights.path)})


def start_words(document: Mapping[str, Any]) -> str:
    """Return for people what a run folder keeps of the weights that it started from."""
    loaded, adapted, new = document["loaded"], document["adapted"], document["new"]
    lines = [
        f"Starting from {document['source']} (sha256 {document['sha256'][:12]}...): "
        f"{loaded} of {loaded + len(adapted) + len(new)} parameters loaded"
    ]
    if adapted:
        lines.append(f"  adapted to the channels of these images: {', '.join(adapted)}")
    if new:
        lines.append(f"  new: {_some([f'{name} ({why})' for name, why in new.items()])}")
    skipped = [name for name in document["skipped"] if name not in new]
    if skipped:
        lines.append(f"  not used: {_some(skipped)}")
    return "\n".join(lines)


def foresee(recipe: Recipe, folder: Path, card: Card, samples: Samples) -> Start:
    """Return what every fit of a recipe on these samples will start from; only the first image is read.

    Args:
        recipe: which names weights.
        folder: from which a relative path of weights counts.
        card: of the dataset.
        samples: all of it.

    Raises:
        WeightsError: the weights cannot be had, or are of another network.
        DatasetError: the first image cannot be used.
    """
    weights = load_weights(recipe.network, folder)
    _, plan = prepare(samples.take(np.array([0])), recipe.preprocess, card)
    net = build(recipe.network, input_shape(plan), len(card.class_names))
    net.initialize()
    start = start_from(weights, net, get_weights(net), card.class_names)
    return start.with_new_head(head(net)) if isinstance(recipe.fit.transfer, Features) else start


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
