"""The learning rate, against values worked out by hand."""

import math

import pytest

from bioclass.fit.schedule import learning_rate
from bioclass.recipe import Constant, Cosine, Inverse, Steps


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Constant(), {0: 0.01, 9_999: 0.01}),
        # Caffe, lenet_solver.prototxt: base_lr 0.01, gamma 0.0001, power 0.75, 10,000 iterations.
        (
            Inverse(gamma=0.0001, power=0.75),
            {0: 0.01, 100: 0.00992565, 500: 0.00964069, 1000: 0.00931012, 5000: 0.00737788, 9999: 0.00594626},
        ),
        (Inverse(gamma=1, power=1), {0: 0.01, 1: 0.005, 3: 0.0025, 99: 0.0001}),
        (
            Steps(at=(0.5, 0.75), factor=0.1),
            {0: 0.01, 4_999: 0.01, 5_000: 0.001, 7_499: 0.001, 7_500: 0.0001, 9_999: 0.0001},
        ),
        (Steps(at=(0.75, 0.5), factor=0.5), {4_999: 0.01, 5_000: 0.005, 7_500: 0.0025}),
        (Steps(at=(), factor=0.5), {0: 0.01, 9_999: 0.01}),
        (
            Cosine(),
            {0: 0.01, 2_500: 0.01 * (0.5 + math.sqrt(2) / 4), 5_000: 0.005, 7_500: 0.01 * (0.5 - math.sqrt(2) / 4)},
        ),
        (Cosine(final=0.1), {0: 0.01, 5_000: 0.0055, 10_000: 0.001}),
        (Cosine(final=1), {0: 0.01, 5_000: 0.01, 9_999: 0.01}),
    ],
)
def test_by_hand(schedule, values):
    for iteration, expected in values.items():
        assert learning_rate(schedule, 0.01, iteration, 10_000) == pytest.approx(expected, rel=1e-5), iteration


def test_cosine_ends_near_but_above_nothing():
    assert 0 < learning_rate(Cosine(), 0.01, 9_999, 10_000) < 1e-8
    assert learning_rate(Cosine(), 0.01, 10_000, 10_000) == pytest.approx(0)


def test_warmup_is_linear_and_ends_at_the_policy():
    rates = [learning_rate(Constant(warmup=4), 0.8, i, 100) for i in range(6)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


@pytest.mark.parametrize("schedule", [Inverse, Steps, Cosine])
def test_warmup_of_every_policy(schedule):
    plain, warm = schedule(), schedule(warmup=10)
    for i in range(10):
        expected = learning_rate(plain, 1.0, i, 50) * (i + 1) / 10
        assert learning_rate(warm, 1.0, i, 50) == pytest.approx(expected)
    for i in range(9, 50):
        assert learning_rate(warm, 1.0, i, 50) == learning_rate(plain, 1.0, i, 50)


def test_warmup_longer_than_the_training():
    assert learning_rate(Constant(warmup=100), 1.0, 9, 10) == pytest.approx(0.1)


@pytest.mark.parametrize("share", [0.07, 0.1, 0.29, 0.3, 0.55, 0.57, 0.7, 0.9])
def test_steps_fall_at_their_share_of_the_time(share):
    """0.07 x 100 is a little more than 7 in binary; the step is at 7."""
    at = round(share * 100)
    schedule = Steps(at=(share,), factor=0.5)
    assert learning_rate(schedule, 1.0, at - 1, 100) == 1.0
    assert learning_rate(schedule, 1.0, at, 100) == 0.5


@pytest.mark.parametrize("schedule", [Constant(), Inverse(), Steps(), Cosine()])
def test_one_iteration(schedule):
    assert learning_rate(schedule, 0.3, 0, 1) == 0.3
