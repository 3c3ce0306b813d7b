"""Rejection: the curve by hand, the promise over many draws, and no promise where there can be none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bioclass.errors import InputError
from bioclass.reliability import evaluate_rejection, fit_rejection, risk_coverage
from bioclass.reliability.rejection import error_limit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def made_up(rng: np.random.Generator, n: int, decimals: int | None = None) -> tuple[FloatArray, IntArray]:
    """Probabilities (N, 2), of which the largest is the chance to be right, and labels (N,)."""
    confidence = 0.5 + 0.5 * rng.random(n) ** 0.25
    if decimals is not None:
        confidence = np.round(confidence, decimals)
    return np.stack([confidence, 1 - confidence], axis=1), (rng.random(n) > confidence).astype(np.int64)


# ---- the curve


def test_the_curve_by_hand() -> None:
    found = risk_coverage([0.9, 0.6, 0.8, 0.7], [True, False, False, True])
    assert found.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert found.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert found.risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert found.best_aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert found.as_dict()["accuracy_at"] == pytest.approx(
        {"1": 0.5, "0.99": 0.5, "0.95": 0.5, "0.9": 0.5, "0.8": 0.5, "0.5": 0.5}
    )


def test_equal_confidences_are_answered_together_and_in_no_order() -> None:
    right = np.array([True, False, True, True, False])
    confidence = [0.9, 0.7, 0.7, 0.7, 0.5]
    found = risk_coverage(confidence, right)
    assert found.thresholds.tolist() == [0.9, 0.7, 0.5]
    assert found.risk.tolist() == pytest.approx([0, 1 / 4, 2 / 5])
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(4000):
        order = np.lexsort([rng.random(5), -np.array(confidence)])
        draws.append((np.cumsum(~right[order]) / np.arange(1, 6)).mean())
    assert found.aurc == pytest.approx(np.mean(draws), abs=0.005)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40), st.randoms())
def test_the_curve_does_not_depend_on_the_order(samples: list[tuple[int, bool]], random: Any) -> None:
    shuffled = random.sample(samples, len(samples))
    a, b = (risk_coverage(*map(list, zip(*drawn, strict=True))) for drawn in (samples, shuffled))
    assert a.aurc == pytest.approx(b.aurc, abs=1e-12)
    np.testing.assert_allclose(a.risk, b.risk, atol=1e-12)
    assert a.best_aurc <= a.aurc + 1e-12
    assert a.coverage[-1] == 1 and a.risk[-1] == pytest.approx(np.mean([not right for _, right in samples]))


@pytest.mark.parametrize(("confidence", "right"), [([], []), ([0.5], [True, False]), ([np.nan], [True])])
def test_what_has_no_curve(confidence: list[float], right: list[bool]) -> None:
    with pytest.raises(InputError, match="one true or false per sample"):
        risk_coverage(confidence, right)


# ---- the limit


@pytest.mark.parametrize(("wrong", "n"), [(0, 10), (1, 10), (3, 300), (0, 1)])
def test_the_limit_is_the_exact_one(wrong: int, n: int) -> None:
    limit = error_limit(np.arange(n) < wrong, None, 0.95)
    exact = stats.binomtest(wrong, n).proportion_ci(confidence_level=0.9, method="exact")
    assert limit == pytest.approx(exact.high)


def test_nothing_or_nothing_right_promises_nothing() -> None:
    assert error_limit(np.zeros(0, dtype=bool), None, 0.95) == 1
    assert error_limit(np.ones(5, dtype=bool), None, 0.95) == 1


def test_groups_count_for_as_much_as_they_differ() -> None:
    wrong = np.arange(200) % 20 == 0
    alone = error_limit(wrong, None, 0.95)
    together = error_limit(wrong, np.arange(200) // 20, 0.95)  # one error in each group: they do not differ
    apart = error_limit(np.sort(wrong), np.arange(200) // 20, 0.95)  # all errors in one group
    assert apart > 2 * alone
    assert alone <= together < 1.3 * alone
    # Without an error each group is one sample, and a single group is one sample in any case.
    none = np.zeros(200, dtype=bool)
    assert error_limit(none, np.arange(200) // 20, 0.95) == pytest.approx(1 - 0.05**0.1)
    assert error_limit(wrong, np.zeros(200, dtype=int), 0.95) > 0.9


# ---- the promise


@pytest.mark.parametrize("decimals", [None, 2])
def test_at_most_the_stated_share_of_answers_is_wrong(decimals: int | None) -> None:
    """In at least 95 of 100 validation parts; the true error rate above a threshold is known here."""
    rng = np.random.default_rng(0)
    table, _ = made_up(rng, 50_000, decimals)
    chance = table[:, 0]
    broken, answered = 0, []
    for _ in range(100):
        found = fit_rejection(*made_up(rng, 600, decimals), 0.08)
        accepted = found.accepts(table)
        answered.append(accepted.mean())
        broken += bool(accepted.any() and 1 - chance[accepted].mean() > 0.08)
    assert broken <= 5
    assert np.mean(answered) > 0.3  # a promise that answers nothing is easily kept


def test_everything_is_answered_where_that_keeps_the_rate() -> None:
    labels = np.zeros(1000, dtype=int)
    labels[:3] = 1
    found = fit_rejection(np.tile([0.9, 0.1], (1000, 1)), labels, 0.05)
    assert (found.threshold, found.answered, found.wrong) == (0.0, 1000, 3)
    # Sixteen limits together: to answer only 100 could not keep the rate even without an error.
    assert found.bound == pytest.approx(stats.beta.ppf(1 - 0.05 / 16, 4, 997))
    assert found.accepts(np.array([[0.5, 0.5]])).all()


def test_the_most_answers_that_keep_the_rate_are_given() -> None:
    """Of 1000 answers the 60 least certain are wrong: 7 % must go."""
    confidence = np.linspace(0.99, 0.6, 1000)
    labels = (np.arange(1000) >= 940).astype(int)
    table = np.stack([confidence, 1 - confidence], axis=1)
    found = fit_rejection(table, labels, 0.02)
    assert found.answered == 930 and found.wrong == 0
    assert found.accepts(table).tolist() == [True] * 930 + [False] * 70  # the one at the threshold is not above it
    assert found.threshold == pytest.approx(confidence[930])
    assert found.bound == pytest.approx(1 - (0.05 / 15) ** (1 / 930))


def test_where_nothing_can_be_promised_nothing_is_answered() -> None:
    table = np.tile([0.9, 0.1], (100, 1))
    found = fit_rejection(table, np.zeros(100, dtype=int), 0.01)
    assert found.threshold is None and not found.accepts(table).any()
    assert found.bound == pytest.approx(1 - 0.05 ** (1 / 100)) and found.needed == 299
    # So many answers without an error would have been enough, and one fewer not.
    assert fit_rejection(table[:1].repeat(found.needed, 0), np.zeros(found.needed, dtype=int), 0.01).threshold == 0
    few = found.needed - 1
    assert fit_rejection(table[:1].repeat(few, 0), np.zeros(few, dtype=int), 0.01).threshold is None


def test_shares_that_no_answers_could_keep_take_no_room() -> None:
    """Of 60 samples 51 must be answered to promise 10 % at all: eight shares are tried, not seventeen."""
    table = np.tile([0.9, 0.1], (60, 1))
    table[:, 0] += np.linspace(0, 0.05, 60)
    table[:, 1] -= np.linspace(0, 0.05, 60)
    labels = np.zeros(60, dtype=int)
    labels[0] = 1  # the least certain
    found = fit_rejection(table, labels, 0.1)
    assert (found.answered, found.wrong) == (59, 0)
    assert found.bound == pytest.approx(1 - (0.05 / 8) ** (1 / 59))


def test_groups_promise_less() -> None:
    table, labels = made_up(np.random.default_rng(3), 2000)
    alone = fit_rejection(table, labels, 0.1)
    grouped = fit_rejection(table, labels, 0.1, groups=np.arange(2000) // 100)
    assert alone.threshold is not None
    assert grouped.threshold is None or grouped.answered < alone.answered


# ---- the figures


def test_the_figures_count_the_answers() -> None:
    found = evaluate_rejection([True, True, True, False], [True, False, True, False])
    assert (found.n_answered, found.wrong) == (3, 1)
    assert found.answered.value == 0.75 and found.accuracy.value == pytest.approx(2 / 3)
    nothing = evaluate_rejection([False, False], [True, True], groups=["a", "b"])
    assert nothing.accuracy.value is None and nothing.answered.value == 0
    assert nothing.as_dict()["n_answered"] == 0


@pytest.mark.parametrize("error_rate", [0.0, 1.0])
def test_an_error_rate_that_is_none_is_refused(error_rate: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        fit_rejection([[0.5, 0.5]], [0], error_rate)
