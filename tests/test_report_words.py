"""The words above the columns: what was done, with its numbers, as the field says it."""

from __future__ import annotations

import pytest

from bioclass.recipe import (
    Brightness,
    Center,
    Contrast,
    Elastic,
    Flip,
    Noise,
    Rotation,
    Scale,
    Stain,
    Step,
    Translation,
    Turn,
)
from bioclass.report.words import centering, either_of, words_of

CASES: list[tuple[Step, tuple[str, ...], str, str, str]] = [
    (
        Translation(),
        ("3 px up", "3 px down", "3 px left", "3 px right"),
        "up to 3 px",
        "translation by 3 px up, down, left or right",
        "random translation by up to 3 px",
    ),
    (
        Rotation(),
        ("−16°", "−8°", "8°", "16°"),
        "−16° to 16°",
        "rotation by −16°, −8°, 8° or 16°",
        "random rotation by −16° to 16°",
    ),
    # A draw lies between the outermost angles and none.
    (
        Rotation(angles=(10, 20)),
        ("10°", "20°"),
        "0° to 20°",
        "rotation by 10° or 20°",
        "random rotation by 0° to 20°",
    ),
    (Scale(factors=(0.8,)), ("× 0.8",), "× 0.8 to 1", "scaling by × 0.8", "random scaling by × 0.8 to 1"),
    (
        Contrast(),
        ("× 0.8", "× 1.25"),
        "× 0.8 to 1.25",
        "contrast × 0.8 or × 1.25",
        "random contrast × 0.8 to 1.25",
    ),
    (
        Brightness(),
        ("−10 %", "+10 %"),
        "−10 % to +10 %",
        "brightness −10 % or +10 %",
        "random brightness −10 % to +10 %",
    ),
    (Flip(), ("horizontal",), "horizontal", "horizontal flip", "random horizontal flip"),
    (Turn(), ("90°", "180°", "270°"), "by quarters", "turn by 90°, 180° or 270°", "random quarter turns"),
    (
        Elastic(fields=2),
        ("up to 4 px",) * 2,
        "up to 4 px",
        *("elastic deformation, sigma 6 px, displacements of up to 4 px",) * 2,
    ),
    (
        Elastic(unit="deviation", strength=1.5, fields=1),
        ("SD 1.5 px",),
        "SD 1.5 px",
        *("elastic deformation, sigma 6 px, displacements of SD 1.5 px",) * 2,
    ),
    (
        Elastic(unit="simard", fields=1),
        ("strength 4",),
        "strength 4",
        *("elastic deformation, sigma 6 px, strength 4 after Simard",) * 2,
    ),
    (Stain(), ("± 5 %",) * 4, "± 5 %", *("stains shifted by up to ± 5 %",) * 2),
    (Noise(draws=1), ("SD 2 %",), "SD 2 %", *("noise of SD 2 % of the range",) * 2),
]


@pytest.mark.parametrize(("step", "variants", "random", "caption", "random_caption"), CASES)
def test_a_step_in_words(
    step: Step, variants: tuple[str, ...], random: str, caption: str, random_caption: str
) -> None:
    assert words_of(step) == (step.name, variants, random, caption, random_caption)
    assert len(variants) == step.variants


def test_centering_in_words() -> None:
    words = centering(Center(size=(20, 16)))
    assert words.name == "centering" and words.variants == ("20 × 16",)
    assert words.caption == "centering to 20 × 16 px"


def test_alternatives() -> None:
    assert [either_of(list(items)) for items in ("a", "ab", "abc")] == ["a", "a or b", "a, b or c"]
