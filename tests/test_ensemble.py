"""The three voting rules, their ties, and that the order of the members is irrelevant."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioclass.ensemble import METHODS, Method, combine, weighted_vote
from bioclass.errors import InputError

FloatArray = npt.NDArray[np.float64]


def one_sample(*members: list[float]) -> FloatArray:
    """(M, 1, K) probabilities of several members for one sample."""
    return np.array(members)[:, None, :]


@st.composite
def ensembles(draw: st.DrawFn) -> FloatArray:
    """(M, N, K) probabilities in coarse steps, so that ties are common."""
    m, n, k = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(2, 4))
    steps = draw(st.lists(st.integers(0, 4), min_size=m * n * k, max_size=m * n * k))
    raw = np.array(steps, dtype=np.float64).reshape(m, n, k) + 0.1
    return raw / raw.sum(axis=2, keepdims=True)


def slow_decision(members: FloatArray, method: Method) -> int:
    """The rules in words, for one sample's (M, K)."""
    k = members.shape[1]
    sums = [round(math.fsum(members[:, c]), 12) for c in range(k)]
    if method == "MV":
        votes = [0] * k
        for member in members:
            votes[max(range(k), key=lambda c: (member[c], -c))] += 1
        return max(range(k), key=lambda c: (votes[c], sums[c], -c))
    if method == "MPS":
        return max(range(k), key=lambda c: (sums[c], -c))
    return max(range(k), key=lambda c: (max(members[:, c]), sums[c], -c))


def test_the_three_rules_can_disagree() -> None:
    members = one_sample([0.40, 0.35, 0.25], [0.40, 0.35, 0.25], [0.05, 0.40, 0.55], [0.10, 0.45, 0.45])
    # Votes 2, 1, 1 (the last member's tie goes to class 1); sums .95, 1.55, 1.50; peaks .40, .45, .55.
    assert [int(combine(members, method).predicted[0]) for method in METHODS] == [0, 1, 2]


def test_probabilities_of_each_rule() -> None:
    members = one_sample([0.6, 0.4, 0.0], [0.5, 0.3, 0.2], [0.0, 0.1, 0.9])
    np.testing.assert_allclose(combine(members, "MV").probabilities, [[2 / 3, 0, 1 / 3]])
    np.testing.assert_allclose(combine(members, "MPS").probabilities, [[1.1 / 3, 0.8 / 3, 1.1 / 3]])
    np.testing.assert_allclose(combine(members, "MP").probabilities, [[0.6 / 1.9, 0.4 / 1.9, 0.9 / 1.9]])


def test_a_tie_of_votes_goes_to_the_larger_sum() -> None:
    members = one_sample([0.6, 0.4, 0.0], [0.0, 0.1, 0.9])
    assert combine(members, "MV").predicted.tolist() == [2]


def test_a_tie_of_votes_and_sums_goes_to_the_lowest_index() -> None:
    members = one_sample([0.1, 0.2, 0.7], [0.1, 0.7, 0.2])
    for method in METHODS:
        assert combine(members, method).predicted.tolist() == [1]


def test_a_third_class_with_the_largest_sum_cannot_win_a_tie_of_votes() -> None:
    members = one_sample([0.51, 0.49, 0.0], [0.0, 0.49, 0.51])
    assert combine(members, "MV").predicted.tolist() == [0]
    assert combine(members, "MPS").predicted.tolist() == [1]


def test_a_tie_of_peaks_goes_to_the_larger_sum() -> None:
    members = one_sample([0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5])
    assert combine(members, "MP").predicted.tolist() == [1]


def test_rounding_does_not_break_a_tie_of_sums() -> None:
    # Classes 0 and 1 both sum to 0.9 on paper; in float64 class 1 is ahead by rounding.
    members = one_sample([0.3, 0.5, 0.1, 0.1], [0.3, 0.2, 0.2, 0.3], [0.3, 0.2, 0.2, 0.3])
    assert 0.3 + 0.3 + 0.3 < 0.2 + 0.2 + 0.5
    assert combine(members, "MPS").predicted.tolist() == [0]


@pytest.mark.parametrize("method", METHODS)
def test_one_member_decides_alone(method: Method) -> None:
    table = np.random.default_rng(0).dirichlet([1, 1, 1], size=20)
    vote = combine(table[None], method)
    np.testing.assert_array_equal(vote.predicted, table.argmax(axis=1))
    if method != "MV":
        np.testing.assert_allclose(vote.probabilities, table)


@settings(max_examples=150, deadline=None)
@given(members=ensembles(), method=st.sampled_from(METHODS))
def test_agrees_with_the_rules_in_words(members: FloatArray, method: Method) -> None:
    vote = combine(members, method)
    assert vote.predicted.tolist() == [slow_decision(members[:, n], method) for n in range(members.shape[1])]
    np.testing.assert_allclose(vote.probabilities.sum(axis=1), 1)
    chosen = np.take_along_axis(vote.probabilities, vote.predicted[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(chosen, vote.probabilities.max(axis=1), rtol=1e-11)


@settings(max_examples=150, deadline=None)
@given(members=ensembles(), method=st.sampled_from(METHODS), data=st.data())
def test_the_order_of_the_members_is_irrelevant(members: FloatArray, method: Method, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(members))))
    vote, other = combine(members, method), combine(members[order], method)
    np.testing.assert_array_equal(vote.predicted, other.predicted)
    np.testing.assert_array_equal(vote.probabilities, other.probabilities)


def test_a_list_of_float32_tables_is_as_good_as_an_array() -> None:
    members = np.random.default_rng(1).dirichlet([1, 1], size=(3, 5)).astype(np.float32)
    np.testing.assert_array_equal(combine(list(members), "MP").predicted, combine(members, "MP").predicted)


HALF = np.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "no members"),
        ([HALF, np.full((3, 2), 0.5)], r"shape \(2, 2\) and member 1 \(3, 2\)"),
        (HALF, r"shape \(2,\)"),
        (np.empty((1, 0, 2)), r"shape \(0, 2\)"),
        ([HALF, HALF + 0.5], "Member 1 .* sum to 2"),
        ([HALF, [[np.nan, 1], [0, 1]]], "Member 1 .* nan to sample 0, class 0"),
        ([[[1.5, -0.5], [0, 1]]], "Member 0 .* -0.5 to sample 0, class 1"),
        ([[["a", "b"]]], "not tables of numbers"),
    ],
)
def test_impossible_members_are_refused(members: npt.ArrayLike, message: str) -> None:
    with pytest.raises(InputError, match=message):
        combine(members, "MPS")


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="'mean': give one of MV, MPS, MP"):
        combine(HALF[None], "mean")  # type: ignore[arg-type]


# ---- weighted votes


@settings(max_examples=100, deadline=None)
@given(members=ensembles())
def test_equal_weights_are_the_maximum_probability_sum(members: FloatArray) -> None:
    vote = weighted_vote(members, np.full(len(members), 1 / len(members)))
    plain = combine(members, "MPS")
    np.testing.assert_array_equal(vote.predicted, plain.predicted)
    np.testing.assert_allclose(vote.probabilities, plain.probabilities, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(members=ensembles(), data=st.data())
def test_a_weighted_vote_does_not_depend_on_the_order(members: FloatArray, data: st.DataObject) -> None:
    steps = np.array(data.draw(st.lists(st.integers(1, 9), min_size=len(members), max_size=len(members))))
    order = data.draw(st.permutations(range(len(members))))
    weights = steps / steps.sum()
    vote, other = weighted_vote(members, weights), weighted_vote(members[order], weights[order])
    np.testing.assert_array_equal(vote.predicted, other.predicted)
    np.testing.assert_array_equal(vote.probabilities, other.probabilities)


def test_weights_decide() -> None:
    members = one_sample([0.9, 0.1], [0.2, 0.8])
    np.testing.assert_allclose(weighted_vote(members, [0.25, 0.75]).probabilities, [[0.375, 0.625]])
    assert weighted_vote(members, [0.25, 0.75]).predicted.tolist() == [1]
    assert weighted_vote(members, [1, 0]).predicted.tolist() == [0]


def test_rounding_does_not_break_a_tie_of_weighted_means() -> None:
    # Classes 0 and 1 both have 0.42 on paper; in float64 class 1 is ahead by rounding.
    members = one_sample([0.1, 0.4, 0.5], [0.5, 0.3, 0.2], [0.5, 0.5, 0.0])
    assert 0.2 * 0.1 + 0.3 * 0.5 + 0.5 * 0.5 != 0.2 * 0.4 + 0.3 * 0.3 + 0.5 * 0.5
    assert weighted_vote(members, [0.2, 0.3, 0.5]).predicted.tolist() == [0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.5, 0.5, 0], "one for each of 2"),
        ([0.7, 0.7], "sum is one"),
        ([1.5, -0.5], "from 0 up"),
        ([np.nan, 1], "nan"),
    ],
)
def test_impossible_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        weighted_vote(np.stack([HALF, HALF]), weights)
