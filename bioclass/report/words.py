"""The steps of a recipe in the words that stand above a column and in a caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bioclass.recipe import (
    Brightness,
    Center,
    Contrast,
    Elastic,
    Flip,
    Rotation,
    Scale,
    Stain,
    Step,
    Translation,
    Turn,
)


class Words(NamedTuple):
    """What is said of a step: its name, each of its variants, a random draw, and each way in a caption."""

    name: str
    variants: tuple[str, ...]
    random: str
    caption: str
    random_caption: str


def words_of(step: Step) -> Words:
    """Return the words of a step; there is one label for each of its variants, equal ones where none differs."""
    if isinstance(step, Translation):
        by = f"{step.pixels:g} px"
        variants = tuple(f"{by} {way}" for way in ("up", "down", "left", "right"))
        caption = f"translation by {by} up, down, left or right"
        return Words(step.name, variants, f"up to {by}", caption, f"random translation by up to {by}")
    if isinstance(step, Rotation):
        return _listed(
            step.name, "rotation by", [degrees(angle) for angle in step.angles], step.angles, 0.0, degrees
        )
    if isinstance(step, Scale):
        return _listed(step.name, "scaling by", [times(each) for each in step.factors], step.factors, 1.0, plainly)
    if isinstance(step, Contrast):
        return _listed(step.name, "contrast", [times(each) for each in step.factors], step.factors, 1.0, plainly)
    if isinstance(step, Brightness):
        return _listed(
            step.name, "brightness", [percent(shift) for shift in step.shifts], step.shifts, 0.0, percent
        )
    if isinstance(step, Flip):
        either = " or ".join(step.axes)
        return Words(step.name, step.axes, either, f"{either} flip", f"random {either} flip")
    if isinstance(step, Turn):
        variants = ("90°", "180°", "270°")
        return Words(step.name, variants, "by quarters", f"turn by {either_of(variants)}", "random quarter turns")
    if isinstance(step, Elastic):
        return _elastic(step)
    if isinstance(step, Stain):
        label = f"± {100 * step.strength:g} %"
        return _alike(step.name, step.variants, label, f"stains shifted by up to {label}")
    label = f"SD {100 * step.deviation:g} %"
    return _alike(step.name, step.variants, label, f"noise of {label} of the range")


def centering(center: Center) -> Words:
    """Return the words of centering."""
    return _alike("centering", 1, size_of(center.size), f"centering to {size_of(center.size)} px")


def size_of(size: tuple[int, int]) -> str:
    """Write a size (height, width) in pixels."""
    return f"{size[0]} × {size[1]}"


def degrees(angle: float) -> str:
    """Write an angle, with a printer's minus sign."""
    return f"{angle:g}°".replace("-", "−")


def percent(share: float) -> str:
    """Write a share with its sign, in percent."""
    return f"{100 * share:+g} %".replace("-", "−")


def times(factor: float) -> str:
    """Write a factor."""
    return f"× {factor:g}"


def plainly(value: float) -> str:
    """Write a number."""
    return f"{value:g}"


def either_of(items: Sequence[str]) -> str:
    """Write items as alternatives: "a, b or c"."""
    return " or ".join(part for part in (", ".join(items[:-1]), items[-1]) if part)


def _listed(
    name: str, what: str, labels: list[str], values: Sequence[float], none: float, write: Callable[[float], str]
) -> Words:
    """A step with a value for each variant, which at random lies between the outermost and that of no change."""
    between = f"{write(min(*values, none))} to {write(max(*values, none))}"
    random = f"× {between}" if write is plainly else between
    return Words(name, tuple(labels), random, f"{what} {either_of(labels)}", f"random {what} {random}")


def _alike(name: str, variants: int, label: str, caption: str) -> Words:
    """A step whose variants differ by chance alone."""
    return Words(name, (label,) * variants, label, caption, caption)


def _elastic(step: Elastic) -> Words:
    if step.unit == "simard":
        label = f"strength {step.strength:g}"
        what = f"{label} after Simard"
    else:
        label = f"{'up to' if step.unit == 'maximum' else 'SD'} {step.strength:g} px"
        what = f"displacements of {label}"
    return _alike(step.name, step.variants, label, f"elastic deformation, sigma {step.sigma:g} px, {what}")
