"""Patterns: each class has its loops and deltas, where Henry's classes have them."""

import numpy as np
import pytest

from bioclass.errors import InputError
from bioclass.fingerprints import CLASSES, FREQUENCIES, orientation, poincare_index
from bioclass.fingerprints.pattern import draw_pattern
from bioclass.fingerprints.ridges import grid

SINGULAR = {"arch": (0, 0), "tented arch": (1, 1), "left loop": (1, 1), "right loop": (1, 1), "whorl": (2, 2)}


def patterns(name, count=20):
    return [draw_pattern(name, np.random.default_rng(number)) for number in range(count)]


def places(pattern, half=1.0, side=257):
    """Where the orientation field itself has loops and deltas, as arrays (n, 2)."""
    x, y = grid(side, half)
    index = poincare_index(orientation(pattern, x, y))
    return [np.stack([x[:-1, :-1][index == sign], y[:-1, :-1][index == sign]], axis=1) for sign in (0.5, -0.5)] + [
        index
    ]


@pytest.mark.parametrize("name", CLASSES)
def test_loops_and_deltas_by_poincare_index(name):
    for pattern in patterns(name):
        loops, deltas, index = places(pattern)
        assert (len(loops), len(deltas)) == SINGULAR[name]
        assert set(np.unique(index)) <= {-0.5, 0, 0.5}
        for found, meant in ((loops, pattern.loops), (deltas, pattern.deltas)):
            for place in meant:
                assert np.abs(found - place).max(axis=1).min() < 0.02


def test_the_delta_is_beside_below_or_on_both_sides():
    for pattern in patterns("left loop"):
        (loop,), (delta,), _ = places(pattern)
        assert delta[0] > loop[0] + 0.15 and delta[1] < loop[1]
    for pattern in patterns("right loop"):
        (loop,), (delta,), _ = places(pattern)
        assert delta[0] < loop[0] - 0.15 and delta[1] < loop[1]
    for pattern in patterns("tented arch"):
        (loop,), (delta,), _ = places(pattern)
        assert abs(delta[0] - loop[0]) < 0.12 and delta[1] < loop[1]
    for pattern in patterns("whorl"):
        loops, deltas, _ = places(pattern)
        assert deltas[:, 0].min() < loops[:, 0].min() and deltas[:, 0].max() > loops[:, 0].max()
        assert deltas[:, 1].max() < loops[:, 1].min()


def leaves(pattern, turn, steps=3000):
    """Follow the ridge over the loop's core, to the left (1) or the right (-1): where does it leave the picture?"""
    lx, ly = pattern.loops[0]
    place, step = np.array([lx, ly + 0.08]), 0.005
    heading = np.array([-turn, 0.0])
    for _ in range(steps):
        x, y = (np.full((1, 1), value, np.float32) for value in place)
        theta = orientation(pattern, x, y).item()
        ahead = np.array([np.cos(theta), np.sin(theta)])
        heading = ahead if ahead @ heading >= 0 else -ahead
        place = place + step * heading
        if np.abs(place).max() > 1:
            return place
    return place


@pytest.mark.parametrize(("name", "side"), [("left loop", -1), ("right loop", 1)])
def test_a_loop_comes_and_goes_on_its_own_side(name, side):
    """The ridge just around the core: both of its limbs leave on the side that the class is named for."""
    for pattern in patterns(name, 8):
        for turn in (1, -1):
            end = leaves(pattern, turn)
            assert end[0] * side > 0.3, (pattern, turn, end)


def test_an_arch_rises_and_falls():
    for pattern in patterns("arch"):
        x, y = grid(64, 1.0)
        slope = np.tan(orientation(pattern, x, y))
        assert (slope[:20, :16] > 0.05).all() and (slope[:20, -16:] < -0.05).all()
        assert np.abs(slope[-1]).max() < 0.45


def test_patterns_differ_and_repeat():
    first, again, other = (draw_pattern("whorl", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_an_unknown_class():
    with pytest.raises(InputError, match="no fingerprint class 'left lop'; did you mean 'left loop'"):
        draw_pattern("left lop", np.random.default_rng(0))


def test_natural_frequencies():
    assert len(FREQUENCIES) == len(CLASSES) and sum(FREQUENCIES) == pytest.approx(1)
