"""Temperature scaling: it finds the temperature that made the probabilities, and knows when it cannot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special
from sklearn.metrics import log_loss

from bioclass.errors import InputError
from bioclass.metrics import evaluate
from bioclass.reliability import Temperature, fit_temperature
from bioclass.reliability.temperature import BOUNDS, at_temperature

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def calibrated(seed: int, n: int, k: int = 4, scale: float = 2.0) -> tuple[FloatArray, IntArray]:
    """Scores (N, K), and labels drawn from the softmax of these very scores."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, k)) * scale
    chances = special.softmax(scores, axis=1)
    return scores, (chances.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.5, 6.0])
def test_it_finds_the_temperature_that_was_taken_away(temperature: float) -> None:
    scores, labels = calibrated(0, 20_000)
    found = fit_temperature(special.softmax(scores * temperature, axis=1), labels)
    assert found.temperature == pytest.approx(temperature, rel=0.03)
    assert not found.all_right and found.n == 20_000
    assert found.log_loss_after <= found.log_loss_before
    assert found.ece_after < 0.02
    if temperature != 1:
        assert found.ece_after < found.ece_before


def test_no_other_temperature_has_a_smaller_loss() -> None:
    scores, labels = calibrated(1, 60)
    table = special.softmax(3 * scores, axis=1)
    found = fit_temperature(table, labels)
    others = [log_loss(labels, at_temperature(table, t), labels=range(4)) for t in np.geomspace(*BOUNDS, 80)]
    assert found.log_loss_after <= min(others) + 1e-9
    assert found.log_loss_after == pytest.approx(log_loss(labels, found.apply(table), labels=range(4)))


def test_the_figures_are_those_of_the_metrics() -> None:
    scores, labels = calibrated(2, 300)
    table = special.softmax(2 * scores, axis=1)
    found = fit_temperature(table, labels)
    for probabilities, loss, ece in (
        (table, found.log_loss_before, found.ece_before),
        (found.apply(table), found.log_loss_after, found.ece_after),
    ):
        overall = evaluate(labels, probabilities, "abcd", resamples=1).overall
        assert (loss, ece) == pytest.approx((overall["log_loss"].value, overall["ece"].value))
    assert found.as_dict()["temperature"] == found.temperature


def test_scaling_divides_the_scores_of_the_softmax_and_keeps_the_order() -> None:
    scores, _ = calibrated(3, 50, k=7)
    table = special.softmax(scores, axis=1)
    scaled = at_temperature(table, 2.5)
    np.testing.assert_allclose(scaled, special.softmax(scores / 2.5, axis=1))
    np.testing.assert_array_equal(np.argsort(scaled, axis=1), np.argsort(table, axis=1))
    assert at_temperature(table, 1.0) is table


def test_where_all_is_right_the_temperature_stays_one() -> None:
    """The loss would fall for ever: 50 right answers are no reason to be sure to a millionth."""
    labels = np.arange(50) % 3
    table = np.full((50, 3), 0.05)
    table[np.arange(50), labels] = 0.9
    found = fit_temperature(table, labels)
    assert found == Temperature(1.0, 50, True, *[found.log_loss_before] * 2, *[found.ece_before] * 2)
    np.testing.assert_array_equal(found.apply(table), table)


def test_a_hopeless_network_ends_at_the_bound() -> None:
    labels = np.arange(50) % 2
    table = np.full((50, 2), 0.9)
    table[np.arange(50), labels] = 0.1
    assert fit_temperature(table, labels).temperature == pytest.approx(BOUNDS[1], rel=1e-4)


def test_a_probability_of_zero_is_no_obstacle() -> None:
    table = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.6, 0.4]])
    found = fit_temperature(table, [0, 1, 1, 0])
    assert np.isfinite(found.log_loss_after) and np.isfinite(found.apply(table)).all()
    np.testing.assert_allclose(found.apply(table).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("table", "labels", "message"),
    [
        ([[0.5, 0.5]], [2], "outside 0..1"),
        ([[0.5, 0.5]], [0, 1], "shape"),
        ([[2.0, -1.0]], [0], "-1.0"),
        ([0.5, 0.5], [0], "shape"),
        ([[0.5, 0.6]], [0], "sum to 1.1"),
    ],
)
def test_impossible_input_is_refused(table: npt.ArrayLike, labels: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_temperature(table, labels)
