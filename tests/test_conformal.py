"""Sets of classes: they miss the true one as rarely as was asked for, and say so when they cannot promise it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioclass.errors import InputError
from bioclass.reliability import RULES, Rule, evaluate_sets, fit_conformal
from bioclass.reliability.conformal import least_units

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def made_up(
    rng: np.random.Generator, n: int, k: int = 4, groups: IntArray | None = None, spread: float = 0.0
) -> tuple[FloatArray, IntArray]:
    """Probabilities (N, K) of an overconfident network, and labels (N,); groups make it err together."""
    labels = rng.integers(0, k, n)
    scores = rng.normal(size=(n, k))
    if groups is not None:
        scores += spread * rng.normal(size=(groups.max() + 1, k))[groups]
    scores[np.arange(n), labels] += 2 - 0.4 * labels
    table = np.exp(3 * scores - 3 * scores.max(axis=1, keepdims=True))
    return table / table.sum(axis=1, keepdims=True), labels


def covered(sets: npt.NDArray[np.bool_], labels: IntArray) -> npt.NDArray[np.bool_]:
    return sets[np.arange(len(labels)), labels]


# ---- the promise


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("error_rate", [0.1, 0.3])
def test_the_stated_rate_is_kept_on_average(rule: Rule, error_rate: float) -> None:
    """Over many draws of a small validation part; in every class where that was asked for, else not."""
    rng = np.random.default_rng(0)
    hits: list[FloatArray] = []
    for _ in range(200):
        table, labels = made_up(rng, 80)
        new, truth = made_up(rng, 400)
        inside = covered(fit_conformal(table, labels, error_rate, rule).sets(new), truth)
        hits.append(np.array([inside.mean(), *(inside[truth == k].mean() for k in range(4))]))
    overall, *by_class = np.mean(hits, axis=0)
    assert overall > 1 - error_rate - 0.01
    if rule == "LAC by class":
        assert min(by_class) > 1 - error_rate - 0.015
    else:
        assert overall < 1 - error_rate + 0.04  # and the sets are no larger than they need be
        assert min(by_class) < 1 - error_rate - 0.02  # at the cost of the hardest class


def test_groups_keep_the_rate_for_new_groups_of_any_size() -> None:
    rng = np.random.default_rng(1)
    share = {True: [], False: []}
    for _ in range(150):
        # One slide with many images, and an easier life: it alone would set the threshold.
        groups = np.repeat(np.arange(20), [200, *[3] * 19])
        table, labels = made_up(rng, len(groups), groups=groups, spread=1.5)
        others = np.repeat(np.arange(60), 2)
        new, truth = made_up(rng, len(others), groups=others, spread=1.5)
        for grouped, results in share.items():
            fitted = fit_conformal(table, labels, 0.2, "LAC", groups if grouped else None)
            results.append(covered(fitted.sets(new), truth).mean())
    assert np.mean(share[True]) > 0.8
    assert np.mean(share[True]) > np.mean(share[False])


# ---- the threshold


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 60),
    error_rate=st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 0.9]),
    seed=st.integers(0, 99),
)
def test_the_threshold_is_the_order_statistic_of_the_textbook(n: int, error_rate: float, seed: int) -> None:
    table, labels = made_up(np.random.default_rng(seed), n)
    fitted = fit_conformal(table, labels, error_rate)
    rank = math.ceil(round((n + 1) * (1 - error_rate), 6))
    scores = np.sort(-table[np.arange(n), labels])
    expected = scores[rank - 1] if rank <= n else np.inf
    assert fitted.thresholds.tolist() == [expected] * 4
    assert np.isinf(expected) == (n < fitted.needed)
    # Groups of one image each are no groups.
    same = fit_conformal(table, labels, error_rate, groups=[f"slide {i}" for i in range(n)])
    assert same.thresholds.tolist() == fitted.thresholds.tolist()


@pytest.mark.parametrize(
    ("error_rate", "needed"), [(0.01, 99), (0.05, 19), (0.1, 9), (0.5, 1), (0.9, 1), (0.03, 33)]
)
def test_how_many_it_takes(error_rate: float, needed: int) -> None:
    assert least_units(error_rate) == needed


@pytest.mark.parametrize("rule", RULES)
def test_too_few_samples_answer_with_every_class(rule: Rule) -> None:
    table, labels = made_up(np.random.default_rng(0), 18)
    fitted = fit_conformal(table, labels, 0.05, rule)
    assert fitted.needed == 19 and (fitted.counts < 19).all()
    assert fitted.sets(table).all()
    document = fitted.as_dict()
    assert document.get("threshold") is None and set(document.get("thresholds", [None])) == {None}


def test_groups_are_what_is_counted() -> None:
    table, labels = made_up(np.random.default_rng(0), 400)
    fitted = fit_conformal(table, labels, 0.05, groups=np.arange(400) % 18)
    assert fitted.counts.tolist() == [18] * 4 and np.isinf(fitted.thresholds).all()
    assert np.isfinite(fit_conformal(table, labels, 0.05, groups=np.arange(400) % 19).thresholds).all()


def test_a_class_without_validation_samples_is_in_every_set() -> None:
    table, labels = made_up(np.random.default_rng(0), 300, k=3)
    kept = labels != 1
    fitted = fit_conformal(table[kept], labels[kept], 0.1, "LAC by class")
    assert fitted.counts[1] == 0 and fitted.as_dict()["thresholds"][1] is None
    sets = fitted.sets(table)
    assert sets[:, 1].all() and not sets[:, 0].all()


def test_a_group_weighs_as_much_as_another_however_large() -> None:
    """Three groups and the new one share the weight: 1/12 for each of three samples, 1/4 for one alone."""
    chance = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    table = np.stack([chance, 1 - chance], axis=1)
    fitted = fit_conformal(table, [0] * 5, 0.7, groups=["a", "a", "a", "b", "c"])
    assert fitted.as_dict()["threshold"] == 0.6  # 1/12, 2/12, 3/12, and 6/12 is the first above 0.3
    assert fit_conformal(table, [0] * 5, 0.7).as_dict()["threshold"] == 0.8


# ---- the sets


def test_lac_takes_what_is_probable_enough() -> None:
    validation = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.4, 0.35, 0.25], [0.5, 0.3, 0.2]])
    fitted = fit_conformal(validation, [0, 0, 2, 1], 0.4)
    assert fitted.as_dict()["threshold"] == 0.3  # the third of 0.7, 0.6, 0.3, 0.25
    new = np.array([[0.45, 0.35, 0.2], [0.9, 0.05, 0.05], [0.7, 0.3, 0.0]])
    assert fitted.sets(new).tolist() == [[True, True, False], [True, False, False], [True, True, False]]


def test_aps_goes_down_until_enough_is_gathered() -> None:
    validation = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.5, 0.4], [0.5, 0.3, 0.2]])
    fitted = fit_conformal(validation, [0, 1, 0, 1], 0.4, "APS")
    # Before the true class come 0, 0.6, 0.9 and 0.5; the third smallest is 0.6.
    assert fitted.as_dict()["threshold"] == 0.6
    new = np.array([[0.55, 0.3, 0.15], [0.61, 0.3, 0.09], [0.35, 0.25, 0.4]])
    assert fitted.sets(new).tolist() == [[True, True, False], [True, False, False], [True, False, True]]


def test_of_equal_probabilities_the_lower_index_goes_first() -> None:
    fitted = fit_conformal(np.full((9, 40), 1 / 40), np.zeros(9, dtype=int), 0.2, "APS")
    assert fitted.sets(np.full((1, 40), 1 / 40)).tolist() == [[True] + [False] * 39]


@pytest.mark.parametrize("rule", RULES)
def test_no_set_is_empty(rule: Rule) -> None:
    """A network better than was asked for would else give none, rather than its answer."""
    labels = np.arange(200) % 4
    table = np.full((200, 4), 0.01)
    table[np.arange(200), labels] = 0.97
    fitted = fit_conformal(table, labels, 0.3, rule)
    doubtful = np.array([[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
    assert fitted.sets(doubtful)[:, 0].all()
    assert (fitted.sets(table).sum(axis=1) == 1).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 500), rule=st.sampled_from(RULES))
def test_a_smaller_error_rate_never_has_smaller_sets(seed: int, rule: Rule) -> None:
    rng = np.random.default_rng(seed)
    table, labels = made_up(rng, 120)
    new, _ = made_up(rng, 30)
    loose, strict = (fit_conformal(table, labels, rate, rule).sets(new) for rate in (0.2, 0.05))
    assert (strict | ~loose).all()


# ---- the figures


def test_the_figures_count_what_they_say() -> None:
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=bool)
    found = evaluate_sets(sets, [0, 1, 0, 2, 2], ("a", "b", "c"))
    assert found.coverage.value == 0.8 and found.single.value == 0.6
    assert found.single_right.value == pytest.approx(2 / 3)
    assert found.size == 8 / 5 and found.sizes == (3, 1, 1)
    assert [row["coverage"].value for row in found.per_class.values()] == [0.5, 1.0, 1.0]
    assert [(row["size"], row["support"]) for row in found.per_class.values()] == [(1.0, 2), (2.0, 1), (2.0, 2)]
    assert found.coverage.low < 0.8 < found.coverage.high  # type: ignore[operator]


def test_an_absent_class_and_absent_singles_are_undefined() -> None:
    found = evaluate_sets(np.ones((4, 2), dtype=bool), [0, 0, 0, 0], ("a", "b"), groups=list("xxyy"))
    assert found.per_class["b"] == {"coverage": found.single_right, "size": None, "support": 0}
    assert found.as_dict()["single_right"] == {"value": None, "low": None, "high": None}
    assert found.coverage.value == 1 and found.coverage.low < 0.5  # two groups promise little  # type: ignore[operator]


@pytest.mark.parametrize("error_rate", [0, 1, -0.1, 1.5, float("nan")])
def test_an_error_rate_that_is_none_is_refused(error_rate: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1, for example"):
        fit_conformal([[0.5, 0.5]], [0], error_rate)


def test_impossible_input_is_refused() -> None:
    with pytest.raises(InputError, match="'RAPS': give one of LAC, APS, LAC by class"):
        fit_conformal([[0.5, 0.5]], [0], 0.1, "RAPS")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="labels hold"):
        fit_conformal([[0.5, 0.5]], [3], 0.1)
    with pytest.raises(InputError, match="groups have shape"):
        fit_conformal([[0.5, 0.5]], [0], 0.1, groups=["a", "b"])
