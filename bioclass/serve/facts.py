"""What is told of a model: what it was trained on, how good it was found to be, and what it is not."""

from __future__ import annotations

from typing import Any

from bioclass.report.listing import find_runs
from bioclass.run import held_out_part
from bioclass.serve.digit import drawable
from bioclass.serve.models import Source

ALWAYS = (
    "Every image gets an answer, also one of nothing that the model knows.",
    "For research: this is no medical device, and no diagnosis may rest on it.",
)


def facts_of(source: Source) -> dict[str, Any]:
    """Return what is known of a model, JSON-ready."""
    run, card = source.run, source.run.card
    titles = {item.name: item.title or item.name for item in card.classes}
    fitted, decided = source.fitted, source.decided
    screening = None if decided is None else decided.screening
    height, width = run.plan.size
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
        "accuracy": _accuracy(source),
        "temperature": None if fitted is None else fitted.temperature,
        "error_rate": None if fitted is None else fitted.error_rate,
        "positive": None if screening is None else screening.as_dict(),
        "least_cost": decided is not None and decided.costs is not None,
        "notes": _notes(source),
    }


def _accuracy(source: Source) -> dict[str, Any] | None:
    """The headline of the last evaluation and the images it is on; None where there was none."""
    for listed in find_runs(source.path, lambda problem: None):
        figures = listed.figures["accuracy"]
        if listed.path == source.path and figures is not None:
            return {**figures, "on": _on(source)}
    return None


def _on(source: Source) -> str:
    run = source.run
    if len(source.runs) > 1:
        part = held_out_part(source.runs)
        count = len(set().union(*(set(run.split.ids[run.split.parts == part]) for run in source.runs)))
        return f"{count} {run.card.images()} that single folds held out"
    return f"{(run.split.parts == 'test').sum()} {run.card.images('test')}"


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
