"""What a report says of the figures as a whole, and of whether they can be trusted."""

from types import SimpleNamespace

import numpy as np
import pytest

from bioclass.metrics import Estimate
from bioclass.report.page.trust import Said, trust, verdict
from bioclass.report.terms import p_value


def judged(counts, part="test", groups=None, runs=()):
    """What a report is of, as far as it is asked here, with this confusion matrix of few classes."""
    counts = np.array(counts)
    labels = np.repeat(np.arange(len(counts)), counts.sum(axis=1))
    predicted = np.concatenate([np.repeat(np.arange(len(counts)), row) for row in counts])
    right = labels == predicted
    rows = {
        f"class{k}": {"support": int(row.sum()), "recall": Estimate(float(row[k] / row.sum()), None, None)}
        for k, row in enumerate(counts)
    }
    accuracy = float(right.mean())
    return SimpleNamespace(
        part=part,
        titles=[f"Class {k}" for k in range(len(counts))],
        card=SimpleNamespace(synthetic=False, group="slide"),
        scored=SimpleNamespace(right=right, ids=labels),
        metrics=SimpleNamespace(
            confusion=counts,
            per_class=rows,
            overall={"accuracy": Estimate(accuracy, accuracy - 0.02, accuracy + 0.02)},
        ),
        confidence=np.full(len(labels), accuracy),
        found={},
        folds=None,
        members=(),
        runs=runs,
    )


GOOD = Said("good", "New images.", "")
SMALL = Said("warn", "Small classes.", "")


def test_a_model_that_errs_rarely_and_alike_is_said_to():
    said = verdict(judged([[95, 5], [5, 95]]), [GOOD])
    assert said.judgement == "good" and said.title == "As a whole: mostly right, in every class."
    assert "About one answer in 20 is wrong, 90\u00a0% fewer than by always naming" in said.text
    assert "It finds at least 95.0\u00a0% of every class." in said.text
    perfect = verdict(judged([[50, 0], [0, 50]]), [GOOD])
    assert perfect.text.startswith("No answer is wrong.")


def test_reservations_stand_beside_a_good_verdict():
    said = verdict(judged([[95, 5], [5, 95]]), [SMALL, Said("warn", "Groups are not known.", ""), GOOD])
    assert said.judgement == "note"
    assert said.text.endswith("To be read with what is said below: small classes; groups are not known.")


@pytest.mark.parametrize(
    ("counts", "judgement", "title", "text"),
    [
        ([[95, 5], [6, 4]], "warn", "not for every class", "It misses more than half of “Class 1”."),
        ([[70, 30], [20, 80]], "warn", "often wrong", "About one answer in 4 is wrong, 50"),
        ([[98, 2], [6, 14]], "note", "mostly right, not in every class", "more than a fifth of “Class 1”."),
        (
            [[4, 6, 0, 0, 0], [6, 4, 0, 0, 0], [0, 0, 4, 6, 0], [0, 0, 6, 4, 0], [0, 0, 0, 0, 90]],
            "warn",
            "not for every class",
            "more than half of 4 of the 5 classes, “Class 0”, “Class 1” and “Class 2” above all.",
        ),
    ],
)
def test_what_fails_is_named(counts, judgement, title, text):
    said = verdict(judged(counts), [GOOD])
    assert (said.judgement, said.title) == (judgement, f"As a whole: {title}.")
    assert text in said.text


def test_a_fault_overrules_every_figure():
    said = verdict(judged([[100, 0], [0, 100]]), [Said("bad", "Groups leak.", "..."), GOOD])
    assert said.judgement == "bad" and "do not rely" in said.title and "Groups leak." in said.text


def test_a_leak_in_any_fold_is_told():
    """The first fold keeps groups apart, the second judges a group that it was trained on."""
    samples = SimpleNamespace(groups=np.array(["a", "a", "b", "b", "c", "c"]), parts=None)

    def run(*parts):
        return SimpleNamespace(match=lambda given: np.array(parts))

    clean = run("fold", "fold", "train", "train", "train", "train")
    leaking = run("train", "train", "train", "fold", "fold", "fold")
    counts = [[40, 5], [5, 40]]
    told = {each.title: each for each in trust(judged(counts, "fold", runs=[clean, clean]), samples, [])}
    assert "Groups kept apart." in told and "Groups leak." not in told
    told = {each.title: each for each in trust(judged(counts, "fold", runs=[clean, leaking]), samples, [])}
    assert told["Groups leak."].judgement == "bad"
    assert told["Groups leak."].text.startswith("1 of 3 groups (slide)")


def test_p_values_are_written_as_journals_want_them():
    assert [p_value(p) for p in (None, 1.0, 0.0314, 0.001, 0.0009, 0.0)] == [
        "-",
        "1.000",
        "0.031",
        "0.001",
        "<0.001",
        "<0.001",
    ]
