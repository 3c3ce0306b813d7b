"""Fingers and impressions: repeatable by number, true to their orientation and period."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from bioclass.errors import BioclassError, InputError
from bioclass.fingerprints import (
    CLASSES,
    STYLES,
    draw_fingerprints,
    draw_impression,
    draw_names,
    grow_finger,
    orientation,
)
from bioclass.fingerprints import generate as generating
from bioclass.fingerprints.contact import draw_contact
from bioclass.fingerprints.pattern import draw_pattern
from bioclass.fingerprints.ridges import REACH, SIDE, grid


@pytest.fixture(scope="module")
def fingers():
    return {name: grow_finger(name, 0, number) for number, name in enumerate(CLASSES)}


def measured(image, sigma):
    """Orientation of ridges by the structure tensor, in radians with y upwards, and its coherence (0 to 1)."""
    image = image.astype(float)
    # Derivatives of a Gaussian, since those of Sobel lean to the axes where ridges are few pixels apart.
    across, up = gaussian_filter(image, 1, order=(0, 1)), -gaussian_filter(image, 1, order=(1, 0))
    xx, yy, xy = (gaussian_filter(each, sigma) for each in (across**2, up**2, across * up))
    theta = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    return theta, np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-12)


def apart(first, second):
    """Degrees between orientations."""
    return np.degrees(np.abs(np.mod(first - second + np.pi / 2, np.pi) - np.pi / 2))


@pytest.mark.parametrize("name", CLASSES)
def test_ridges_follow_the_orientation(fingers, name):
    finger = fingers[name]
    x, y = grid(SIDE, REACH)
    theta, coherence = measured(finger.ridges, 3)
    off = apart(theta, orientation(finger.pattern, x, y))[8:-8, 8:-8]
    assert np.median(off) < 4.5 and np.quantile(off, 0.9) < 12
    assert np.median(coherence) > 0.7


@pytest.mark.parametrize("name", CLASSES)
def test_a_print_follows_the_orientation_where_the_finger_touched(fingers, name, monkeypatch):
    """Turned and stretched as the touch was: by the derivative of the finger's coordinates."""
    touches = []
    draw = generating.draw_contact
    monkeypatch.setattr(generating, "draw_contact", lambda *given: touches.append(draw(*given)) or touches[-1])
    for number in range(3):
        finger = fingers[name]
        image = draw_impression(finger, number, style="gray")
        touch = touches[-1]
        theta = orientation(finger.pattern, touch.x, touch.y)
        # d(x, y) / d(column, -row), and its inverse up to a factor, on the direction of the ridge.
        x_down, x_across = np.gradient(touch.x)
        y_down, y_across = np.gradient(touch.y)
        along = (
            -y_down * np.cos(theta) + x_down * np.sin(theta),
            -y_across * np.cos(theta) + x_across * np.sin(theta),
        )
        expected = np.arctan2(along[1], along[0])
        found, coherence = measured(image, 5)
        sure = (touch.inside > 0.25) & (coherence > 0.3)
        sure[:10], sure[-10:], sure[:, :10], sure[:, -10:] = False, False, False, False
        assert sure.mean() > 0.15
        assert np.median(apart(found, expected)[sure]) < 6


@pytest.mark.parametrize("cropped", [False, True])
def test_loops_and_most_deltas_are_in_the_picture(cropped):
    seen = {"loops": [], "deltas": []}
    for name in CLASSES[1:]:
        for number in range(30):
            rng = np.random.default_rng(number)
            pattern = draw_pattern(name, rng)
            touch = draw_contact(pattern, 64, cropped, rng)
            for kind, found in seen.items():
                for x, y in getattr(pattern, kind):
                    away = np.where(touch.inside > 0, np.hypot(touch.x - x, touch.y - y), 1)
                    found.append(away.min() < 0.03)
    assert np.mean(seen["loops"]) > 0.97
    assert np.mean(seen["deltas"]) > (0.75 if cropped else 0.95)


def test_ridges_have_an_even_period(fingers):
    """A picture of 256 pixels has ridges 6 to 11 pixels apart, and about as much ridge as valley."""
    for finger in fingers.values():
        spectrum = np.abs(np.fft.fft2(finger.ridges * np.hanning(SIDE)[:, None] * np.hanning(SIDE)))
        down, across = np.meshgrid(*[np.fft.fftfreq(SIDE)] * 2, indexing="ij")
        radius = np.rint(np.hypot(down, across) * SIDE).astype(int)
        power = np.bincount(radius.ravel(), (spectrum**2).ravel())
        peak = power.argmax()
        period = SIDE / peak * (256 / 2) / (SIDE / (2 * REACH))
        assert 6 < period < 11
        assert power[int(peak * 0.7) : int(peak * 1.4)].sum() > 0.6 * power[1 : SIDE // 2].sum()
        assert abs(finger.ridges.mean()) < 0.05 and np.abs(finger.ridges).mean() > 0.5


def test_repeatable_by_number():
    """The same with any number of processes, in any order, and in another part of a series."""
    names = ["whorl", "arch", "left loop"]
    alone = draw_fingerprints(names, seed=3, size=64)
    assert alone.shape == (6, 64, 64) and alone.dtype == np.uint8
    np.testing.assert_array_equal(draw_fingerprints(names, seed=3, size=64, processes=2), alone)
    np.testing.assert_array_equal(draw_fingerprints(names[2:], seed=3, size=64, first=2), alone[4:])
    np.testing.assert_array_equal(draw_impression(grow_finger("arch", 3, 1), 1, 64), alone[3])
    assert (draw_fingerprints(names[:1], seed=4, size=64)[0] != alone[0]).mean() > 0.1
    assert (alone[0] != alone[1]).mean() > 0.05


def test_the_ridges_of_a_finger_are_its_own(fingers):
    """Two fingers of one class have other ridges; the impressions of one have the same."""
    other = grow_finger("whorl", 0, 99)
    assert abs(np.corrcoef(fingers["whorl"].ridges.ravel(), other.ridges.ravel())[0, 1]) < 0.2
    np.testing.assert_array_equal(grow_finger("whorl", 0, 99).ridges, other.ridges)


@pytest.mark.parametrize("style", STYLES)
def test_styles(fingers, style):
    image = draw_impression(fingers["left loop"], 0, style=style)
    assert image.shape == (256, 256) and image.dtype == np.uint8
    border = np.median(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]))
    if style not in ("gray", "inverted"):
        assert np.unique(image).tolist() == [0, 255]
    if style.startswith("thinned"):
        lines = image == (0 if style == "thinned" else 255)
        assert 0.02 < lines.mean() < 0.2
        # One pixel wide: hardly any square of four pixels is filled.
        filled = lines[:-1, :-1] & lines[1:, :-1] & lines[:-1, 1:] & lines[1:, 1:]
        assert filled.mean() < 0.002
        # And they are lines, not dots.
        assert label(lines, np.ones((3, 3)))[1] < lines.sum() / 10
    assert (border > 127) == (style not in ("inverted", "thinned light"))


def test_sizes(fingers):
    assert draw_impression(fingers["arch"], 0, size=200, style="thinned").shape == (200, 200)


def test_names_with_given_frequencies():
    names = draw_names(4000, seed=1)
    assert [names.count(name) / 4000 for name in CLASSES] == pytest.approx(
        [0.037, 0.029, 0.338, 0.317, 0.279], abs=0.03
    )
    assert draw_names(10, seed=1) == names[:10]
    assert set(draw_names(50, 0, [0, 0, 1, 0, 0])) == {"left loop"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: draw_fingerprints(["arch"], impressions=0), "impressions must be at least 1. Got 0."),
        (lambda: draw_fingerprints(["arch"], size=8), "size must be at least 32. Got 8."),
        (lambda: draw_fingerprints(["arch"], processes=0), "processes must be at least 1. Got 0."),
        (lambda: draw_fingerprints(["arch"], seed=-1), "seed must be at least 0. Got -1."),
        (lambda: draw_fingerprints(["arc"]), "no fingerprint class 'arc'; did you mean 'arch'?"),
        (
            lambda: draw_fingerprints(["arch", "arc"], processes=2),
            "no fingerprint class 'arc'; did you mean 'arch'?",
        ),
        (lambda: draw_names(3, 0, [1, 1]), "Frequencies must be 5 numbers from 0 on, not all 0. Got [1, 1]."),
        (lambda: draw_names(3, 0, [0] * 5), "Got [0, 0, 0, 0, 0]."),
        (lambda: draw_names(3, 0, [1, 1, 1, 1, -1]), "Got [1, 1, 1, 1, -1]."),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(InputError) as caught:
        call()
    assert words in str(caught.value)


def test_an_unknown_style(fingers):
    with pytest.raises(InputError, match="no style 'grey'; did you mean 'gray'"):
        draw_impression(fingers["arch"], 0, style="grey")


def test_a_process_that_ends_early(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BioclassError, match="A process that draws fingerprints ended early: status 1"):
        draw_fingerprints(["arch", "whorl"], size=64, processes=2)


def test_a_script_without_a_main_guard_may_use_processes():
    code = (
        "from bioclass.fingerprints import draw_fingerprints\n"
        "print(draw_fingerprints(['arch', 'whorl'], 1, size=64, processes=2).shape)"
    )
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("(", "[").replace(")", "]")) == [2, 64, 64]
