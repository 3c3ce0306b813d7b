"""The learning rate, against values worked out by hand."""

import math

import pytest

from bioclass.fit.schedule import average_decay, cycle_at, learning_rate
from bioclass.recipe import Average, Constant, Cosine, Inverse, OneCycle, Steps


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
        # PyTorch's OneCycleLR(max_lr=0.01, pct_start=0.3, div_factor=25): 0.0004 to 0.01 to nothing.
        (OneCycle(), {0: 0.0004, 1_500: 0.0052, 3_000: 0.01, 6_500: 0.005, 10_000: 0}),
        (OneCycle(rise=0.5, start=0, final=0.1), {0: 0, 2_500: 0.005, 5_000: 0.01, 7_500: 0.0055, 10_000: 0.001}),
    ],
)
def test_by_hand(schedule, values):
    for iteration, expected in values.items():
        assert learning_rate(schedule, 0.01, iteration, 10_000) == pytest.approx(expected, rel=1e-5), iteration


def test_cosine_ends_near_but_above_nothing():
    assert 0 < learning_rate(Cosine(), 0.01, 9_999, 10_000) < 1e-8
    assert learning_rate(Cosine(), 0.01, 10_000, 10_000) == pytest.approx(0)


@pytest.mark.parametrize("rise", [0.01, 0.3, 0.5, 0.99])
def test_one_cycle_rises_to_its_peak_and_falls_from_there(rise):
    rates = [learning_rate(OneCycle(rise=rise), 1.0, i, 1000) for i in range(1000)]
    peak = round(1000 * rise)
    assert rates[peak] == max(rates) == 1.0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] == pytest.approx(0.04) and 0 < rates[-1] < 0.03


@pytest.mark.parametrize(("total", "cycles"), [(10, 1), (10, 3), (3, 3), (1000, 7), (1, 1)])
def test_cycles_cover_the_training_and_are_equal(total, cycles):
    found = [cycle_at(i, total, cycles) for i in range(total)]
    assert all(cycle.start <= i < cycle.end for i, cycle in enumerate(found))
    distinct = sorted(set(found))
    assert [cycle.number for cycle in distinct] == list(range(1, cycles + 1))
    assert (distinct[0].start, distinct[-1].end) == (0, total)
    assert [cycle.start for cycle in distinct[1:]] == [cycle.end for cycle in distinct[:-1]]
    lengths = [cycle.end - cycle.start for cycle in distinct]
    assert max(lengths) - min(lengths) <= 1


def test_the_average_forgets_the_start_soon_and_slows_down():
    decays = [average_decay(Average(decay=0.9), t) for t in range(200)]
    assert decays[:3] == pytest.approx([1 / 10, 2 / 11, 3 / 12])
    assert decays == sorted(decays)
    assert decays[80] == 81 / 90 and decays[81:] == [0.9] * 119


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


@pytest.mark.parametrize("schedule", [Constant(), Inverse(), Steps(), Cosine(), OneCycle(start=0.3, rise=0.5)])
def test_one_iteration(schedule):
    assert 0 < learning_rate(schedule, 0.3, 0, 1) <= 0.3
