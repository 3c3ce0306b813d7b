"""Whether to trust a report's figures, and what they come to as a whole."""

from __future__ import annotations

from typing import Literal, NamedTuple

from bioclass.check import Finding
from bioclass.report.page.sentences import OFF, WORST, commonest, listed, number, percent, recalls, support
from bioclass.report.page.subject import Subject
from bioclass.samples import Samples

FEW = 30
"""Images of a class below which its figures are said to be uncertain."""
HALF, WELL = 0.5, 0.8
"""Shares of a class found: below the first it is mostly missed, from the second on found well."""
OFTEN = 0.2
"""The share of wrong answers above which a model is said to be often wrong."""

Judgement = Literal["good", "note", "warn", "bad"]


class Said(NamedTuple):
    """A sentence with how it bears on trust: its first words stand out."""

    judgement: Judgement
    title: str
    text: str


def verdict(subject: Subject, reasons: list[Said]) -> Said:
    """Return what the figures come to as a whole, given what ``trust`` says of them.

    It never says that a model is good enough: that depends on what an error costs.
    """
    bad = [each.title for each in reasons if each.judgement == "bad"]
    if bad:
        return Said("bad", "As a whole: do not rely on these figures.", f"{' '.join(bad)} The reasons are below.")
    judgement, title, text = _performance(subject)
    warned = [each.title.rstrip(".").lower() for each in reasons if each.judgement == "warn"]
    if warned:
        judgement = "note" if judgement == "good" else judgement
        text += f" To be read with what is said below: {'; '.join(warned)}."
    return Said(judgement, f"As a whole: {title}.", text)


def _performance(subject: Subject) -> tuple[Judgement, str, str]:
    accuracy = float(subject.scored.right.mean())
    wrong, guessed = 1 - accuracy, 1 - commonest(subject)[1]
    text = "no answer is wrong" if wrong == 0 else _one_in(wrong)
    if 0 < wrong < guessed:
        text += f", {100 * (1 - wrong / guessed):.0f}\u00a0% fewer than by always naming the commonest class"
    text = f"{text[0].upper()}{text[1:]}."
    known = recalls(subject)
    least = percent(known[0][0])
    missed = [title for recall, title, *_ in known if recall < HALF]
    less = [title for recall, title, *_ in known if HALF <= recall < WELL]
    if missed:
        return "warn", "not for every class", f"{text} It misses more than half of {_of(missed, len(known))}."
    if wrong > OFTEN:
        return "warn", "often wrong", f"{text} It finds at least {least} of every class."
    if less:
        told = _of(less, len(known))
        return "note", "mostly right, not in every class", f"{text} It misses more than a fifth of {told}."
    return "good", "mostly right, in every class", f"{text} It finds at least {least} of every class."


def _one_in(wrong: float) -> str:
    if wrong > 0.4:
        return f"{percent(wrong)} of the answers are wrong"
    return f"about one answer in {1 / wrong:,.0f} is wrong"


def _of(titles: list[str], classes: int) -> str:
    named = [f"“{title}”" for title in titles]
    if len(named) <= WORST:
        return listed(named)
    return f"{len(named)} of the {classes} classes, {listed(named[:WORST])} above all"


def trust(subject: Subject, samples: Samples, findings: list[Finding]) -> list[Said]:
    """Return what speaks for and against trusting the figures, the worst first."""
    found = [
        *_part(subject),
        *([_synthetic()] if subject.card.synthetic else []),
        _groups(subject, samples),
        # A leak of groups is told above.
        *(_fault(each) for each in findings if each.severity == "error" and each.kind != "group-leak"),
        _beats_guessing(subject),
        *_small(subject),
        *_calibration(subject),
        *_ensemble(subject),
    ]
    order = ("bad", "warn", "note", "good")
    return sorted(found, key=lambda each: order.index(each.judgement))


def _part(subject: Subject) -> list[Said]:
    if subject.part == "train":
        text = "These images were trained on. The figures say how well they were learnt, not how new ones fare."
        return [Said("bad", "Not a test.", text)]
    if subject.part == "validation":
        text = (
            "The validation part also chose the epoch whose weights were kept, so the figures are a little too "
            "good: trust those of the test part."
        )
        return [Said("warn", "Validation, not test.", text)]
    text = (
        "No image was judged by a network that was trained on it, and during a fit none of these images chose "
        "weights or settings."
    )
    return [Said("good", "New images.", text)]


def _synthetic() -> Said:
    text = "No image of this dataset is of a real thing. Nothing here says how real images would fare."
    return Said("warn", "Synthetic images.", text)


def _groups(subject: Subject, samples: Samples) -> Said:
    name = f" ({subject.card.group})" if subject.card.group else ""
    if samples.groups is None:
        text = (
            "The dataset does not say which images belong together (to one patient, slide or writer). If images of "
            "one stand in training and in testing, the figures are better than new ones would be."
        )
        return Said("warn", "Groups are not known.", text)
    judged: set[str] = set()
    shared: set[str] = set()
    for run in subject.runs:
        # Each fold judges other images; of an ensemble every member has to keep them apart.
        parts = run.match(samples)
        own = set(samples.groups[parts == subject.part].tolist())
        judged |= own
        shared |= own & set(samples.groups[parts == "train"].tolist())
    if shared and subject.part != "train":
        text = f"{len(shared):,} of {len(judged):,} groups{name} of the judged images were trained on too."
        return Said("bad", "Groups leak.", text)
    return Said(
        "good",
        "Groups kept apart.",
        f"Images of one group{name} are never both trained on and judged, and intervals are drawn by group.",
    )


def _fault(finding: Finding) -> Said:
    return Said("bad", "The data has a fault.", f"{finding.message} {finding.mend}")


def _beats_guessing(subject: Subject) -> Said:
    name, floor = commonest(subject)
    low = subject.metrics.overall["accuracy"].low
    if low is not None and low > floor:
        text = (
            f"Even the lower limit of the accuracy, {percent(low)}, is above the {percent(floor)} that always "
            f"answering “{name}” gives."
        )
        return Said("good", "Better than guessing.", text)
    text = (
        f"The interval of the accuracy does not lie above {percent(floor)}, what always answering “{name}” gives."
    )
    return Said("bad", "Not shown to be better than guessing.", text)


def _small(subject: Subject) -> list[Said]:
    rows = zip(subject.titles, subject.metrics.per_class.values(), strict=True)
    few = [(title, support(row)) for title, row in rows if support(row) < FEW]
    if not few:
        return []
    told = listed([f"“{title}” ({n})" for title, n in sorted(few, key=lambda each: each[1])[:WORST]])
    more = f" and {len(few) - WORST} more" if len(few) > WORST else ""
    text = f"Fewer than {FEW} images were judged of {told}{more}: read these classes' figures by their intervals."
    return [Said("warn", "Small classes.", text)]


def _calibration(subject: Subject) -> list[Said]:
    apart = float(subject.confidence.mean() - subject.scored.right.mean())
    if abs(apart) < OFF:
        return []
    way = "above" if apart > 0 else "below"
    fit = " “bioclass evaluate --calibrate” fits a temperature on the validation part."
    mend = "" if "calibration" in subject.found or subject.folds is not None else fit
    text = f"The mean confidence lies {number(abs(apart))} points {way} the accuracy.{mend}"
    return [Said("warn", "Confidence is off.", text)]


def _ensemble(subject: Subject) -> list[Said]:
    if len(subject.runs) < 2 or subject.members or subject.folds is None:
        return []
    figures = [row["accuracy"] for row in subject.folds.by_fold if row["accuracy"] is not None]
    text = f"From fold to fold the accuracy goes from {number(min(figures))} to {percent(max(figures))}."
    return [Said("note", "Folds differ.", text)]
