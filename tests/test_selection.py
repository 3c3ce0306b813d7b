"""Choosing and weighing members: the best that there is, the same every time, and its ties as stated."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioclass.ensemble import Figure, greedy, selection, top_members, vote_weights, weighted_vote
from bioclass.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def made_up(seed: int, m: int, n: int, k: int, quality: float | list[float] = 2.0) -> tuple[FloatArray, IntArray]:
    """Probabilities (M, N, K) of members that know something, each its own, and labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    scores = rng.normal(size=(m, n, k)) * 1.5
    scores[:, np.arange(n), labels] += np.broadcast_to(quality, m)[:, None]
    table = np.exp(scores)
    return table / table.sum(axis=2, keepdims=True), labels


def log_loss(mean: FloatArray, labels: IntArray) -> float:
    return float(-np.log(mean[np.arange(len(labels)), labels]).mean())


def accuracy(mean: FloatArray, labels: IntArray) -> float:
    return float((mean.argmax(axis=1) == labels).mean())


# ---- the top


def test_the_top_are_the_best_first_and_ties_go_to_the_lowest_index() -> None:
    scores = [0.98, 0.99, 0.97, 0.99, 0.98]
    assert top_members(scores, 1) == [1]
    assert top_members(scores, 3) == [1, 3, 0]
    assert top_members(scores, 5) == [1, 3, 0, 4, 2]


@pytest.mark.parametrize(
    ("scores", "count", "message"),
    [
        ([0.9, 0.8], 3, "3 of 2 members"),
        ([0.9, 0.8], 0, "0 of 2 members"),
        ([], 1, "1 of 0 members"),
        ([0.9, float("nan")], 1, "nan"),
        ([[0.9], [0.8]], 1, "one finite number"),
    ],
)
def test_what_has_no_top(scores: list[float], count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        top_members(scores, count)


# ---- greedy


def test_greedy_takes_what_helps_and_leaves_what_harms() -> None:
    members, labels = made_up(0, 5, 400, 4, quality=[2.5, 2.5, 2.5, 0.0, -2.0])
    found = greedy(members, labels)
    assert found.weights[3] < 0.1 and found.weights[4] == 0
    assert (found.weights[:3] > 0.2).all()
    best_single = min(log_loss(member, labels) for member in members)
    everyone = log_loss(members.mean(axis=0), labels)
    assert found.log_loss < min(best_single, everyone)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    m=st.integers(1, 5),
    by=st.sampled_from(["log_loss", "accuracy"]),
    replacement=st.booleans(),
)
def test_greedy_agrees_with_its_words(seed: int, m: int, by: Figure, replacement: bool) -> None:
    members, labels = made_up(seed, m, 25, 3, quality=1.0)

    def figure(chosen: list[int]) -> tuple[float, float]:
        mean = members[chosen].mean(axis=0)
        loss = round(log_loss(mean, labels), 9)
        return (loss, 0.0) if by == "log_loss" else (round(-accuracy(mean, labels), 9), loss)

    chosen: list[int] = []
    path = []
    while len(chosen) < (selection.ROUNDS if replacement else m):
        free = [i for i in range(m) if replacement or i not in chosen]
        chosen.append(min(free, key=lambda i: (figure([*chosen, i]), i)))
        path.append(list(chosen))
    best = min(path, key=lambda chosen: (figure(chosen), len(chosen)))
    found = greedy(members, labels, by=by, replacement=replacement)
    assert list(found.members) == best
    np.testing.assert_allclose(found.weights, np.bincount(best, minlength=m) / len(best))
    assert found.log_loss == pytest.approx(log_loss(members[best].mean(axis=0), labels))
    assert found.accuracy == pytest.approx(accuracy(members[best].mean(axis=0), labels))


def test_the_figures_are_those_of_the_weighted_vote() -> None:
    members, labels = made_up(3, 6, 100, 5, quality=1.0)
    found = greedy(members, labels, by="accuracy")
    vote = weighted_vote(members, found.weights)
    assert found.accuracy == (vote.predicted == labels).mean()
    assert found.log_loss == pytest.approx(log_loss(vote.probabilities, labels))
    assert found.weights.sum() == pytest.approx(1)


def test_greedy_by_accuracy_breaks_ties_by_log_loss_and_then_by_index() -> None:
    labels = np.array([0, 0])
    timid, bold = np.array([[0.6, 0.4], [0.6, 0.4]]), np.array([[0.9, 0.1], [0.9, 0.1]])
    assert greedy([timid, bold, bold], labels, by="accuracy").members == (1,)
    assert greedy([bold, timid, bold], labels).members == (0,)


def test_greedy_without_replacement_takes_each_once() -> None:
    members, labels = made_up(5, 8, 60, 3, quality=1.0)
    found = greedy(members, labels, replacement=False)
    assert len(set(found.members)) == len(found.members)
    assert set(found.weights.tolist()) <= {0.0, 1 / len(found.members)}


def test_one_member_is_selected_whole() -> None:
    members, labels = made_up(0, 1, 20, 3)
    assert greedy(members, labels).members == (0,)
    assert vote_weights(members, labels).tolist() == [1.0]


# ---- weights


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    m=st.integers(1, 8),
    n=st.sampled_from([1, 3, 10, 200]),
    k=st.integers(2, 4),
    quality=st.sampled_from([-1.0, 1.0, 5.0, 30.0]),
)
def test_no_weights_have_a_smaller_loss(seed: int, m: int, n: int, k: int, quality: float) -> None:
    """The optimality condition of a convex problem: to move weight to any member alone does not help."""
    members, labels = made_up(seed, m, n, k, quality)
    weights = vote_weights(members, labels)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    chances = np.clip(members[:, np.arange(n), labels], np.finfo(float).eps, 1)
    gains = (chances / (weights @ chances)).mean(axis=1)
    assert gains.max() < 1 + 1e-4


def test_the_weights_are_those_of_an_exhaustive_search() -> None:
    members, labels = made_up(2, 3, 80, 3, quality=[2.0, 1.5, 1.0])
    grid = [np.bincount(draw, minlength=3) / 40 for draw in combinations_with_replacement(range(3), 40)]
    best = min(grid, key=lambda weights: log_loss(np.tensordot(weights, members, axes=1), labels))
    np.testing.assert_allclose(vote_weights(members, labels), best, atol=1 / 40)


def test_identical_members_share_their_weight() -> None:
    members, labels = made_up(4, 3, 100, 3, quality=[2.0, 2.0, 1.0])
    alone = vote_weights(members, labels)
    weights = vote_weights(members[[0, 1, 0, 2, 0]], labels)
    np.testing.assert_allclose(weights[[0, 2, 4]], alone[0] / 3, atol=1e-6)
    np.testing.assert_allclose(weights[[1, 3]], alone[1:], atol=1e-6)
    same = vote_weights(members[[0, 0, 0, 0]], labels)
    np.testing.assert_allclose(same, 0.25)


def test_the_weights_do_not_depend_on_the_order() -> None:
    members, labels = made_up(6, 5, 150, 4, quality=[1.0, 2.0, 3.0, 2.0, 1.0])
    order = [3, 1, 4, 0, 2]
    np.testing.assert_allclose(
        vote_weights(members[order], labels), vote_weights(members, labels)[order], atol=1e-9
    )


def test_a_member_that_gives_the_truth_no_chance_does_not_break_the_weights() -> None:
    labels = np.array([0, 1, 0, 1])
    never = np.array([[0.0, 1.0], [1.0, 0.0]])[labels]
    good = np.array([[0.8, 0.2], [0.2, 0.8]])[labels]
    assert vote_weights([never, good], labels).tolist() == [0.0, 1.0]
    assert vote_weights([never, never], labels).tolist() == [0.5, 0.5]
    assert greedy([never, good], labels).members == (1,)


# ---- what is refused

HALF = np.full((2, 2), 0.5)


@pytest.mark.parametrize("labels", [[0], [[0, 1]], [0.0, 1.0], [0, 2], [-1, 0], ["a", "b"]])
def test_labels_that_do_not_fit_are_refused(labels: npt.ArrayLike) -> None:
    for choose in (greedy, vote_weights):
        with pytest.raises(InputError, match="labels"):
            choose([HALF, HALF], labels)


def test_impossible_members_and_figures_are_refused() -> None:
    for choose in (greedy, vote_weights):
        with pytest.raises(InputError, match="no members"):
            choose([], [0, 1])
        with pytest.raises(InputError, match=r"Member 1 .* sum to 2"):
            choose([HALF, HALF * 2], [0, 1])
    with pytest.raises(InputError, match="'f1': give log_loss or accuracy"):
        greedy([HALF], [0, 1], by="f1")  # type: ignore[arg-type]
