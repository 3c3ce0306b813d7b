"""Figures of variants: which images, which variants of them, and where they stand on the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bioclass.augment import Augmenter, Variants
from bioclass.card import Card, Class
from bioclass.errors import InputError, RecipeError
from bioclass.preprocess import Input, Plan, centred
from bioclass.recipe import (
    Augment,
    Center,
    Elastic,
    Fit,
    Noise,
    Preprocess,
    Recipe,
    Rotation,
    Split,
    Translation,
    Turn,
)
from bioclass.report.display import display_of
from bioclass.report.from_recipe import Wanted, shown_images
from bioclass.report.grid import Layout, draw_variants
from bioclass.report.sheet import DPI, WIDTH
from bioclass.report.variants import (
    Column,
    Group,
    Shown,
    chosen_rows,
    spread,
    step_groups,
    study_groups,
    study_steps,
)
from bioclass.samples import Samples

ENUMERATED = Augment(mode="enumerated", steps=(Rotation(), Elastic(fields=2)), seed=3)


def plan(
    size: tuple[int, int] = (28, 28), channels: int = 1, center: Center | None = None, dtype: str = "uint8"
) -> Plan:
    source = Input(channels=channels, dtype=dtype, bit_depth=8)
    each = (0.0,) * channels, (1.0,) * channels
    return Plan(
        input=source,
        size=size,
        resize=None,
        center=center,
        divisor=255,
        mean=each[0],
        std=each[1],
        channels=channels,
    )


def shown(size: tuple[int, int] = (28, 28), channels: int = 1, variants: int = 2) -> Shown:
    images = np.random.default_rng(5).integers(0, 256, (3, *size, channels), dtype=np.uint8)
    images[:, :3] = images[:, -3:] = images[:, :, :3] = images[:, :, -3:] = 0
    return Shown(images, np.array([4, 17, 9]), seed=1, variants=variants)


def titles(groups: list[Group]) -> list[str]:
    return [group.title for group in groups]


# Which images


def test_images_are_spread_over_the_classes() -> None:
    labels = np.arange(1000) % 10
    assert labels[chosen_rows(labels, range(10), 3, 0)].tolist() == [0, 4, 9]
    assert labels[chosen_rows(labels, range(10), 10, 0)].tolist() == list(range(10))
    assert labels[chosen_rows(labels, range(10), 12, 0)].tolist() == [0, 0, 1, 1, *range(2, 10)]
    assert labels[chosen_rows(labels, [3, 8], 5, 0)].tolist() == [3, 3, 3, 8, 8]


def test_the_seed_chooses_the_images_and_none_comes_twice() -> None:
    labels = np.zeros(500, np.int64)
    first = chosen_rows(labels, [0], 20, 0)
    assert np.array_equal(first, chosen_rows(labels, [0], 20, 0))
    assert not np.array_equal(first, chosen_rows(labels, [0], 20, 1))
    assert len(set(first.tolist())) == 20


def test_there_are_only_as_many_as_there_are() -> None:
    labels = np.array([0, 2, 2, 2])
    assert sorted(chosen_rows(labels, [0, 1, 2], 9, 0).tolist()) == [0, 1, 2, 3]
    assert labels[chosen_rows(labels, [0, 1, 2], 3, 0)].tolist() == [0, 2, 2]


@pytest.mark.parametrize(("length", "count", "places"), [(4, 2, [0, 3]), (4, 3, [0, 2, 3]), (4, 9, [0, 1, 2, 3])])
def test_spread(length: int, count: int, places: list[int]) -> None:
    assert spread(length, count) == places


@pytest.mark.parametrize("as_files", [False, True])
def test_the_variants_are_those_of_a_fit(tmp_path: Path, as_files: bool) -> None:
    """A fit counts its images without the files of the test part, but an array's rows as they stand."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    parts = np.array(["test", "train", "train"] * 20)
    files = [tmp_path / f"{number:02}.npy" for number in range(60)]
    if as_files:
        for file, image in zip(files, images, strict=True):
            np.save(file, image)
    labels = np.arange(60) // 3 % 2
    samples = Samples(files if as_files else images, labels, parts=parts).checked(["a", "b"])
    card = Card(name="x", title="x", classes=(Class(name="a", title="The first"), Class(name="b")))
    recipe = Recipe(dataset="x", fit=Fit(epochs=1), split=Split(validation=0), augment=ENUMERATED)
    found, names, its_plan = shown_images(recipe, card, samples, [0, 1], Wanted(images=4))
    assert names == ["The first", "The first", "b", "b"]
    fitted = images[parts != "test"] if as_files else images
    assert np.array_equal(fitted[found.rows], found.images)
    everything = Variants(Augmenter(ENUMERATED, its_plan), fitted)
    groups, _ = step_groups(ENUMERATED, its_plan, found)
    for column in groups[-1].columns:
        for row, image in zip(found.rows, column.images, strict=True):
            assert any(np.array_equal(image, each) for each in everything[row * 15 : row * 15 + 15])


def test_the_images_take_the_recipes_preprocessing() -> None:
    images = np.zeros((40, 10, 12, 1), np.uint8)
    samples = Samples(images, np.arange(40) % 2).checked(["a", "b"])
    card = Card(name="x", title="x", classes=(Class(name="a"), Class(name="b")))
    recipe = Recipe(dataset="x", fit=Fit(epochs=1), preprocess=Preprocess(size=(20, 24)))
    found, _, its_plan = shown_images(recipe, card, samples, [0, 1], Wanted())
    assert found.images.shape == (3, 20, 24, 1) and its_plan.size == (20, 24)
    assert found.variants == 1


@pytest.mark.parametrize("wrong", [{"images": 0}, {"images": 41}, {"variants": 0}, {"variants": 7}])
def test_impossible_wishes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"--{next(iter(wrong))} wants .*Got {next(iter(wrong.values()))}"):
        Wanted(**wrong)


# Which columns


def test_the_steps_alone_and_the_whole_chain() -> None:
    images = shown()
    centring = Center(size=(14, 14))
    groups, caption = step_groups(ENUMERATED, plan(center=centring), images)
    assert titles(groups) == ["original", "centering", "rotation", "elastic", "rotation-elastic-centering"]
    assert [[column.label for column in group.columns] for group in groups] == [
        ["28 × 28"],
        ["14 × 14"],
        ["−16°", "16°"],
        ["up to 4 px", "up to 4 px"],
        ["−16°", "16°"],
    ]
    assert "centering to 14 × 14 px; rotation by −16°" in caption and "elastic" in caption
    original, centred_group, rotation, elastic, chain = groups
    assert np.array_equal(original.columns[0].images, images.images)
    assert np.array_equal(centred_group.columns[0].images, centred(images.images, centring, 255))
    alone = Augmenter(Augment(mode="enumerated", steps=(Rotation(),), seed=3), plan())
    for column, variant in zip(rotation.columns, (1, 4), strict=True):
        assert np.array_equal(column.images, alone.enumerated(images.images, images.rows, np.full(3, variant)))
    together = Augmenter(ENUMERATED, plan(center=centring))
    # -16 degrees with the second field, 16 degrees with the first.
    for column, variant in zip(chain.columns, (1 * 3 + 2, 4 * 3 + 1), strict=True):
        assert np.array_equal(column.images, together.enumerated(images.images, images.rows, np.full(3, variant)))
    assert elastic.columns[0].images.shape == (3, 28, 28, 1) and chain.columns[0].images.shape == (3, 14, 14, 1)


def test_one_step_alone_is_the_whole_chain() -> None:
    augment = Augment(mode="enumerated", steps=(Translation(),))
    assert titles(step_groups(augment, plan(), shown())[0]) == ["original", "translation"]
    names = titles(step_groups(augment, plan(center=Center(size=(8, 8))), shown())[0])
    assert names == ["original", "centering", "translation", "translation-centering"]


def test_a_step_that_stands_there_twice_is_shown_once() -> None:
    augment = Augment(mode="enumerated", steps=(Elastic(), Elastic()))
    groups, caption = step_groups(augment, plan(), shown())
    assert titles(groups) == ["original", "elastic", "elastic-elastic"]
    assert caption.count("elastic") == 1
    assert {column.label for column in groups[-1].columns} == {""}


def test_a_long_chain_is_all_steps() -> None:
    steps = (Translation(), Rotation(), Turn(), Noise())
    chain = step_groups(Augment(mode="enumerated", steps=steps), plan(), shown())[0][-1]
    assert chain.title == "all steps"
    assert [column.label for column in chain.columns] == ["3 px up\n16°\n90°", "3 px right\n−16°\n270°"]


def test_random_steps_are_drawn_as_a_fit_draws_them() -> None:
    augment = Augment(steps=(Translation(), Rotation()))
    images = shown(variants=3)
    groups, caption = step_groups(augment, plan(), images)
    assert titles(groups) == ["original", "translation", "rotation", "translation-rotation"]
    assert [column.label for column in groups[1].columns] == ["up to 3 px"] * 3
    assert caption == "random translation by up to 3 px; random rotation by −16° to 16°"
    drawn = np.concatenate([column.images for column in groups[3].columns])
    assert np.array_equal(
        drawn, Augmenter(augment, plan(), 1).random(np.tile(images.images, (3, 1, 1, 1)), np.arange(9))
    )
    assert not np.array_equal(groups[1].columns[0].images, groups[1].columns[1].images)


def test_without_steps_it_is_the_studys_figure() -> None:
    groups, caption = study_groups(Augment(), plan(), shown(variants=1))
    assert titles(groups) == ["original", "centering", "elastic", "translation", "rotation"]
    labels = [group.columns[0].label for group in groups]
    assert labels == ["28 × 28", "20 × 20", "up to 4 px", "3 px up", "−16°"]
    assert "centering to 20 × 20 px; elastic deformation, sigma 6 px" in caption
    kept = study_groups(Augment(), plan(center=Center(size=(10, 10), tolerance=0.1)), shown(variants=1))[0]
    assert kept[1].columns[0].images.shape == (3, 10, 10, 1)


def test_the_studys_steps_grow_with_the_images() -> None:
    augment, center = study_steps((224, 336))
    elastic, translation, rotation = augment.steps
    assert isinstance(elastic, Elastic) and isinstance(translation, Translation)
    assert (elastic.sigma, elastic.strength, translation.pixels) == (48, 32, 24)
    assert center.size == (160, 240) and rotation == Rotation()
    small, _ = study_steps((4, 4))
    assert isinstance(small.steps[1], Translation) and small.steps[1].pixels == 1


def test_a_step_that_the_images_cannot_take_is_refused() -> None:
    with pytest.raises(RecipeError, match="square"):
        step_groups(Augment(steps=(Turn(),)), plan((20, 30)), shown((20, 30)))


# The page


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def holds(page: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a page holds a picture, dot for dot."""
    high, wide = picture.shape[:2]
    first = picture[0].tobytes()
    for top in range(len(page) - high + 1):
        left = page[top].tobytes().find(first)
        if left >= 0 and np.array_equal(page[top : top + high, left // 3 : left // 3 + wide], picture):
            return True
    return False


@pytest.mark.parametrize(("size", "channels"), [((12, 12), 1), ((10, 18), 3), ((17, 9), 1)])
def test_every_image_stands_on_the_page_in_whole_squares(
    tmp_path: Path, size: tuple[int, int], channels: int
) -> None:
    images = shown(size, channels)
    images.images[:] = np.random.default_rng(6).integers(0, 256, images.images.shape)
    groups, _ = step_groups(ENUMERATED, plan(size, channels), images)
    display = display_of(list(images.images), plan(size, channels).input)
    draw_variants(groups, ["a", "b", "c"], display, tmp_path / "a.png", "caption")
    page = pixels_of(tmp_path / "a.png")
    assert page.shape[1] <= WIDTH * DPI
    times = round(Layout(groups, ["a", "b", "c"]).tile * DPI / size[1])
    assert times > 5
    for column in (column for group in groups for column in group.columns):
        for image in column.images:
            picture = display(image).repeat(times, axis=0).repeat(times, axis=1)
            assert holds(page, picture)


def wide_groups(columns: list[int], title: str = "elastic", size: int = 28) -> list[Group]:
    images = np.zeros((2, size, size, 1), np.uint8)
    return [Group(title, tuple(Column("", images) for _ in range(count))) for count in columns]


def test_columns_that_do_not_fit_go_below() -> None:
    def bands(columns: list[int]) -> list[list[int]]:
        return [[len(group.columns) for group in band] for band in Layout(wide_groups(columns), ["a", "b"]).bands]

    assert bands([1, 1, 3, 3, 3]) == [[1, 1, 3, 3, 3]]
    assert bands([1, 6, 6]) == [[1, 6], [6]]
    # About as wide each, and in their order.
    assert bands([1, 3, 3, 3, 3, 3]) == [[1, 3, 3], [3, 3, 3]]


@pytest.mark.parametrize("columns", [[1] * 5, [1] * 30, [1, 6, 6, 6], [1]])
@pytest.mark.parametrize("title", ["elastic", "translation-brightness", "word" * 8])
def test_the_page_is_never_wider_than_a_journals(columns: list[int], title: str) -> None:
    layout = Layout(wide_groups(columns, title), ["normal_columnar", "b"])
    assert layout.width <= WIDTH
    assert 0.3 < layout.tile <= 1.1


def test_large_images_fill_their_place_and_long_names_stand_upright() -> None:
    layout = Layout(wide_groups([1, 1], size=2000), ["a name of many words that is long", "b"])
    assert layout.tile == 1.1 and layout.upright and "\n" in layout.names[0]
    assert not Layout(wide_groups([1, 1]), ["10", "b"]).upright


def test_a_note_makes_room_for_itself(tmp_path: Path) -> None:
    layout = Layout(wide_groups([1, 1]), ["a", "b"])
    assert layout.height("A note.") > layout.height("")
    assert layout.height("A long note. " * 20) > layout.height("A note.") + 0.3


def test_a_page_of_metres_is_refused(tmp_path: Path) -> None:
    images = np.zeros((40, 28, 28, 1), np.uint8)
    groups = [Group("noise", tuple(Column("", images) for _ in range(6))) for _ in range(20)]
    display = display_of([images[0]], plan().input)
    with pytest.raises(InputError, match=r"inches tall: lower --images or --variants"):
        draw_variants(groups, ["a"] * 40, display, tmp_path / "a.png", "")
    assert list(tmp_path.iterdir()) == []
