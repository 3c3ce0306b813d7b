"""What is told of a model: what it was trained on, how good it was found to be, and what it is not."""

from __future__ import annotations

import shlex
from typing import Any

from bioclass.errors import RunError
from bioclass.metrics import Estimate
from bioclass.report.comparison.answers import Answers, read_answers
from bioclass.run import held_out_part, holds_folds, open_folds
from bioclass.serve.digit import drawable
from bioclass.serve.models import Source

ALWAYS = (
    "Every image gets an answer, also one of nothing that the model knows.",
    "For research: this is no medical device, and no diagnosis may rest on it.",
)
MANY = 1000
"""Images from which on an accuracy is written with two decimals: one wrong answer of 999 is 0.1 %."""


def facts_of(source: Source) -> dict[str, Any]:
    """Return what is known of a model, JSON-ready."""
    run, card = source.run, source.run.card
    titles = {item.name: item.title or item.name for item in card.classes}
    fitted, decided = source.fitted, source.decided
    screening = None if decided is None else decided.screening
    height, width = run.plan.size
    accuracy = _accuracy(source)
    return {
        "id": source.id,
        "network": run.recipe.network.name,
        "runs": len(source.runs),
        "dataset": card.title,
        "synthetic": card.synthetic,
        "classes": [{"name": name, "title": titles[name]} for name in run.classes],
        "images": {
            "height": height,
            "width": width,
            "channels": run.plan.channels,
            "type": run.plan.input.dtype,
            "resize": run.plan.resize,
        },
        "drawing": drawable(run.plan),
        "accuracy": accuracy,
        "not_evaluated": _not_evaluated(source) if accuracy is None else None,
        "temperature": None if fitted is None else fitted.temperature,
        "error_rate": None if fitted is None else fitted.error_rate,
        "positive": None if screening is None else screening.as_dict(),
        "least_cost": decided is not None and decided.costs is not None,
        "notes": _notes(source),
    }


def _accuracy(source: Source) -> dict[str, Any] | None:
    """The accuracy by the last evaluation and the images it is on; None where there was none of these weights.

    Folds are one model: an official test part tells of it, and where that was not asked, what its folds held out
    tells of each of them.
    """
    folds = open_folds(source.path) if holds_folds(source.path) else None
    for part in dict.fromkeys(("test", held_out_part(source.runs))):
        try:
            answers = read_answers(source.path, source.runs, folds, part)
        except RunError:
            continue
        held_out = folds is not None and part == held_out_part(source.runs)
        accuracy, on = answers.figures["accuracy"], _on(source, answers, held_out)
        return {
            **accuracy.as_dict(),
            "n": len(answers.ids),
            "on": on,
            "text": f"{_share(accuracy, len(answers.ids))} on {on}",
        }
    return None


def _on(source: Source, answers: Answers, held_out: bool) -> str:
    card = source.run.card
    grouped = "" if answers.groups is None else f" in {len(set(answers.groups.tolist())):,} groups"
    images = f"{len(answers.ids):,} {card.images('' if held_out else 'test')}{grouped}"
    return f"{images} that single folds held out" if held_out else images


def _share(accuracy: Estimate, images: int) -> str:
    """Write an accuracy in percent, with its interval where it has one."""
    digits = 2 if images >= MANY else 1
    value, *limits = (
        "" if each is None else f"{100 * each:.{digits}f}" for each in (accuracy.value, accuracy.low, accuracy.high)
    )
    interval = f" (95\u00a0% interval {' to '.join(limits)})" if all(limits) else ""
    return f"{value}\u00a0%{interval}"


def _not_evaluated(source: Source) -> dict[str, str]:
    """That it is not known how good a model is, and the command that tells."""
    return {
        "text": "It was not evaluated since it was last trained, so how often it is right is not known.",
        "command": shlex.join(["bioclass", "evaluate", str(source.path)]),
    }


def _notes(source: Source) -> list[str]:
    run, fitted, decided = source.run, source.fitted, source.decided
    notes = []
    if run.card.synthetic:
        notes.append("It was trained on synthetic images: what it makes of real ones is not known.")
    notes.append(ALWAYS[0])
    if len(source.runs) > 1:
        notes.append(
            f"It is the mean of {len(source.runs)} folds. Heat and training images are those of {run.path.name}."
        )
    if sentence := run.recipe.predict.sentence():
        notes.append(f"{sentence} Heat is that of the image as it is.")
    if fitted is not None and fitted.temperature != 1:
        notes.append(f"Probabilities are calibrated, at the temperature {fitted.temperature:.3g}.")
    if fitted is not None and fitted.error_rate is not None:
        notes.append(
            f"Answers are for an error rate of {100 * fitted.error_rate:g} %, fitted on validation images."
        )
    if decided is not None and decided.screening is not None:
        screening = decided.screening
        few = "" if screening.promised else f", for which {screening.positives} validation images were too few"
        notes.append(
            f"Positive is {', '.join(screening.positive)}, from a probability of {screening.threshold:.4g}, chosen "
            f"to find {100 * screening.sensitivity:g} %{few}."
        )
    return [*notes, *source.problems, ALWAYS[1]]
