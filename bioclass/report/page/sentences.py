"""A report in plain sentences: what was classified, how well, and where it fails."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bioclass.metrics import Estimate
from bioclass.reliability import risk_coverage
from bioclass.report.page.subject import Subject
from bioclass.report.terms import OVERALL
from bioclass.samples import Samples

WORST = 3
"""Classes, and confusions, that are told."""
OFF = 0.02
"""Mean confidence and accuracy that lie further apart are a warning."""


class Confusion(NamedTuple):
    """A true class that is taken for another: classes by number, how many images, and of how many."""

    true: int
    predicted: int
    images: int
    of: int


def number(value: float) -> str:
    """Write a share in percent, without the sign."""
    return f"{100 * value:.1f}"


def percent(value: float) -> str:
    """Write a share in percent, its sign kept on the same line."""
    return f"{number(value)}\u00a0%"


def share(estimate: Estimate) -> str:
    """Write ``94.1 % (95 % interval 92.4 to 95.4)``."""
    if estimate.value is None:
        return "an undefined share"
    text = percent(estimate.value)
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} (95\u00a0% interval {number(estimate.low)} to {number(estimate.high)})"


def commonest(subject: Subject) -> tuple[str, float]:
    """Return the commonest class of the judged images, and its share, which is what always naming it would give."""
    counts = subject.metrics.confusion.sum(axis=1)
    return subject.titles[int(counts.argmax())], float(counts.max() / counts.sum())


def what(subject: Subject, samples: Samples) -> str:
    """Say what was classified, on how many images, and how they were set aside."""
    card, classes = subject.card, len(subject.titles)
    images = f"{subject.images:,} {card.images('' if subject.folds else subject.part)}"
    grouped = subject.groups is not None and subject.metrics.groups
    of_groups = (
        f" from {subject.metrics.groups:,} groups{f' ({card.group})' if card.group else ''}" if grouped else ""
    )
    return (
        f"This report is about {subject.kind} ({_network(subject)}) trained to sort {card.images()} of the dataset "
        f"“{card.title}” into {classes} classes. It was judged on {images}{of_groups}. "
        f"{_set_aside(subject, samples)}"
    )


def _network(subject: Subject) -> str:
    names = dict.fromkeys(run.recipe.network.name for run in subject.runs)
    return ", ".join(names)


def _set_aside(subject: Subject, samples: Samples) -> str:
    split = subject.run.recipe.split
    if subject.folds is not None:
        how = "all images of one group" if split.folds == "groups" else f"one of {split.folds} equal shares"
        often = f" This was repeated {split.repeats} times." if split.repeats > 1 else ""
        return (
            f"Each network was trained without {how} of the images and judged by what it had not seen; what all "
            f"of them say is pooled here.{often}"
        )
    if subject.part == "train":
        return "The networks were trained on these very images."
    if subject.part == "validation":
        return "They were not trained on, but the epoch whose weights were kept was chosen by them."
    whole = "" if samples.groups is None else " by whole groups"
    if samples.parts is not None and (samples.parts == subject.part).any():
        return "The dataset sets these images aside for testing (its official test part); none was trained on."
    return f"They were set aside at random{whole}, class by class, before training; none of them was trained on."


def headline(subject: Subject) -> str:
    """Say how many images are classified right, beside what naming the commonest class would give."""
    accuracy = subject.metrics.overall["accuracy"]
    n, wrong = len(subject.scored.ids), int((~subject.scored.right).sum())
    name, floor = commonest(subject)
    either = subject.scored.either
    also = (
        f" {either.samples:,} images have a second right class; with it {share(either.accuracy)} are right."
        if either is not None
        else ""
    )
    return (
        f"It names the right class for {share(accuracy)} of the images: {wrong:,} of {n:,} are wrong.{also} Always "
        f"answering “{name}”, the commonest class, would be right for {percent(floor)}."
    )


def recalls(subject: Subject) -> list[tuple[float, str, Estimate, int]]:
    """Return the classes that have a recall, those found least first: its value, title, the recall, and images."""
    known = [
        (figure.value, title, figure, support(row))
        for title, row in zip(subject.titles, subject.metrics.per_class.values(), strict=True)
        if isinstance(figure := row["recall"], Estimate) and figure.value is not None
    ]
    return sorted(known, key=lambda each: each[0])


def worst_classes(subject: Subject) -> str:
    """Name the classes that are found least."""
    known = recalls(subject)
    worst = known[: min(WORST, max(1, len(known) // 2))]
    told = [
        f"“{title}”, of whose {n:,} images it finds {share(figure)}"
        for value, title, figure, n in worst
        if value < 1
    ]
    if not told:
        return "It finds every image of every class."
    return f"It is weakest at {listed(told, '; ')}."


def confusions(subject: Subject) -> list[Confusion]:
    """Return what is most often taken for what."""
    counts = subject.metrics.confusion
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:WORST]
    pairs = [(int(place) // len(counts), int(place) % len(counts)) for place in order]
    return [Confusion(i, j, int(wrong[i, j]), int(counts[i].sum())) for i, j in pairs if wrong[i, j]]


def certainty(subject: Subject) -> str:
    """Say whether its confidence can be believed, and what leaving out uncertain answers gives."""
    confidence: npt.NDArray[np.float64] = subject.confidence
    right = subject.scored.right
    mean, accuracy = float(confidence.mean()), float(right.mean())
    ece = subject.metrics.overall["ece"].value
    believed = _believed(mean - accuracy, ece)
    error = "" if ece is None else f" (calibration error {OVERALL['ece'].value(ece)})"
    curve = risk_coverage(confidence, right)
    left = 1 - curve.risk_at(0.9)
    return (
        f"Its mean confidence is {percent(mean)} and it is right {percent(accuracy)} of the time, {believed}"
        f"{error}. Leaving the least certain tenth of the images to a person, it is right for "
        f"{_nearly(left)} of the rest."
    )


def _nearly(right: float) -> str:
    """Write a share that must not be read as all where it is not."""
    return "all" if right == 1 else f"more than {percent(0.999)}" if right >= 0.9995 else percent(right)


def _believed(apart: float, ece: float | None) -> str:
    if abs(apart) >= OFF / 2:
        return f"so it is {'surer than it should be' if apart > 0 else 'less sure than it could be'}"
    if ece is not None and ece >= 1.5 * OFF:
        return "but at single levels of confidence the two lie apart, as the reliability diagram shows"
    return "so its confidence can be taken at face value"


def support(row: dict[str, Any]) -> int:
    """Return how many images of a class were judged."""
    return int(row["support"])


def listed(items: list[str], between: str = ", ") -> str:
    """Write items as a list in a sentence: "a, b and c"."""
    return " and ".join(filter(None, (between.join(items[:-1]), items[-1])))
