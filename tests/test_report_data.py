"""``bioclass datasets show --root``: what is looked at of a dataset, what is drawn, and what is said."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import pictures, refused, run_cli, write_folder, write_png
from PIL import Image

from bioclass.card import Card, Class
from bioclass.errors import DatasetError
from bioclass.report.data import chosen
from bioclass.report.data.chosen import choose, see, spread_rows
from bioclass.report.data.groups import group_drawing, striking_groups, structure_of
from bioclass.report.data.spreads import CHANNELS, CLASSES, size_spread, value_spread
from bioclass.samples import Samples


def card_of(classes: int, **facts: Any) -> Card:
    names = tuple(Class(name=f"class{number}") for number in range(classes))
    return Card(name="mine", title="Mine", classes=names, **facts)


def samples_of(images: np.ndarray, labels: list[int], groups: list[str] | None = None) -> Samples:
    card = card_of(max(labels) + 1 if max(labels) > 0 else 2)
    return Samples(images, np.array(labels), groups=groups).checked(card.class_names)


# ---- which images


def test_of_many_images_the_same_number_of_each_class_is_looked_at() -> None:
    labels = [0] * 5000 + [1] * 700 + [2] * 90
    samples = samples_of(np.zeros((len(labels), 2, 2), np.uint8), labels)
    rows = choose(samples, 3)
    assert np.bincount(samples.labels[rows]).tolist() == [333, 333, 90]
    assert len(set(rows.tolist())) == len(rows)
    assert np.array_equal(rows, choose(samples, 3)) and not np.array_equal(rows, choose(samples, 3, seed=1))


def test_of_few_images_all_are_looked_at() -> None:
    samples = samples_of(np.zeros((40, 2, 2), np.uint8), [0] * 39 + [1])
    assert sorted(choose(samples, 2).tolist()) == list(range(40))


def test_a_choice_is_spread_over_the_groups() -> None:
    groups = ["big"] * 90 + [f"small{number}" for number in range(9)] + ["other"]
    samples = samples_of(np.zeros((100, 2, 2), np.uint8), [0] * 99 + [1], groups)
    rows = spread_rows(samples, np.flatnonzero(samples.labels == 0), 10)
    assert len(set(samples.groups[rows].tolist())) == 10


def test_of_large_files_fewer_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path, pictures(classes=2, each=40), classes=2)
    paths = sorted(tmp_path.rglob("*.png"))
    samples = Samples(paths, np.repeat([0, 1], 40)).checked(("class0", "class1"))
    assert len(choose(samples, 2)) == 80
    size = sum(path.stat().st_size for path in paths)
    monkeypatch.setattr(chosen, "BYTES", size // 4)
    assert np.bincount(samples.labels[choose(samples, 2)]).tolist() == [10, 10]
    monkeypatch.setattr(chosen, "BYTES", 1)
    assert np.bincount(samples.labels[choose(samples, 2)]).tolist() == [chosen.FEWEST] * 2


def test_what_cannot_be_read_or_is_of_another_kind_is_left_out_and_said(tmp_path: Path) -> None:
    write_folder(tmp_path, pictures(each=4))
    (tmp_path / "class0" / "00.png").write_bytes(b"no image")
    write_png(tmp_path / "class1" / "01.png", np.zeros((12, 12, 3), np.uint8))
    samples = Samples(sorted(tmp_path.rglob("*.png")), np.repeat([0, 1, 2], 4)).checked(card_of(3).class_names)
    seen = see(samples, card_of(3), np.arange(12))
    assert seen.left_out == 2 and "00.png" in seen.problem
    assert (seen.source.channels, seen.source.dtype, seen.source.bit_depth) == (1, "uint8", 8)
    assert 0 not in seen.rows and 5 not in seen.rows
    with pytest.raises(DatasetError, match="No image can be read"):
        see(samples, card_of(3), np.array([0]))
    with pytest.raises(DatasetError, match="says channels = 3"):
        see(samples, card_of(3, channels=3), np.arange(12))


# ---- how sizes, values and groups are spread


def seen_of(images: np.ndarray, labels: list[int], **facts: Any) -> tuple[Any, np.ndarray]:
    samples = samples_of(images, labels)
    return see(samples, card_of(3, **facts), np.arange(len(labels))), samples.labels


@pytest.mark.parametrize(
    ("dtype", "channels"), [("uint8", 1), ("uint8", 3), ("uint16", 2), ("float32", CHANNELS + 1)]
)
def test_values_of_any_depth_and_channels_are_drawn(dtype: str, channels: int) -> None:
    images = pictures(shape=(6, 6, channels), dtype=dtype)
    if dtype == "float32":
        images[0, 0, 0, 0] = np.nan
    drawing = value_spread(*seen_of(images, [0] * 12 + [1] * 12 + [2] * 12), ["a", "b", "c"], "all 36 images")
    assert "<svg" in drawing.svg()
    assert ("percentile" in drawing.caption) == (dtype != "uint8")
    assert (f"The first {CHANNELS} of {CHANNELS + 1} channels" in drawing.caption) == (channels > CHANNELS)
    assert drawing.alt.count(",") == min(channels, CHANNELS) - 1


def test_the_means_are_told() -> None:
    images = np.full((4, 3, 3, 3), (10, 20, 30), np.uint8)
    drawing = value_spread(*seen_of(images, [0, 0, 1, 2]), ["a", "b", "c"], "all")
    assert drawing.alt.endswith("red 10, green 20, blue 30.")


def test_very_many_classes_are_cut_and_it_is_said() -> None:
    labels = list(range(CLASSES + 5))
    samples = samples_of(np.zeros((len(labels), 4, 4), np.uint8), labels)
    seen = see(samples, card_of(len(labels)), np.arange(len(labels)))
    drawing = value_spread(seen, samples.labels, [str(label) for label in labels], "all")
    assert f"The first {CLASSES} of {CLASSES + 5} classes" in drawing.caption
    assert "<svg" in drawing.svg()


def test_sizes_are_told(tmp_path: Path) -> None:
    for name, side in (("a", 10), ("b", 30)):
        (tmp_path / name).mkdir()
        for number in range(3):
            write_png(tmp_path / name / f"{number}.png", np.zeros((side, 2 * side + number), np.uint8))
    samples = Samples(sorted(tmp_path.rglob("*.png")), np.repeat([0, 1], 3)).checked(("a", "b"))
    seen = see(samples, card_of(2), np.arange(6))
    drawing = size_spread(seen, samples.labels, ["a", "b"], "all 6 images")
    assert "6 different ones, 10 to 30 high and 20 to 62 wide" in drawing.alt
    assert "<svg" in drawing.svg()


def test_groups_are_counted() -> None:
    groups = ["s1", "s1", "s1", "s2", "s2", "s3", "s4", "s4"]
    samples = samples_of(np.zeros((8, 2, 2), np.uint8), [0, 0, 0, 1, 1, 1, 0, 1], groups)
    structure = structure_of(samples, card_of(2, group="slide"))
    assert structure is not None
    assert structure.as_dict() == {
        "what": "slide",
        "groups": 4,
        "images_per_group": {"least": 1, "median": 2.0, "most": 3},
        "groups_by_number_of_classes": {"1": 3, "2": 1},
        "groups_by_class": {"class0": 2, "class1": 3},
    }
    told = striking_groups(structure)
    assert told[0].startswith("2 of the 3 slides with several images hold one class only")
    assert "class0 (2), class1 (3)" in told[1]
    drawing = group_drawing(structure, "images")
    assert "4 slides hold from 1 to 3 images each (median 2), 3 of them of one class only" in drawing.alt
    assert "<svg" in drawing.svg()
    assert structure_of(samples_of(np.zeros((2, 2, 2), np.uint8), [0, 1]), card_of(2)) is None


# ---- the verb


@pytest.fixture(scope="module")
def shown(tiny: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A dataset whose size tells the class, drawn with a recipe of folds; never change it."""
    home = tmp_path_factory.mktemp("shown")
    for number, each in enumerate((30, 3)):
        images = pictures(classes=1, each=each, shape=(12 + 4 * number, 12))
        write_folder(home / "part", images, classes=1)
        (home / "part" / "class0").rename(home / "part" / f"class{number + 5}")
    recipe = home / "steps.toml"
    recipe.write_text(
        'dataset = "part"\n[network]\nname = "mlp"\nhidden = [8]\n[fit]\nepochs = 1\n[split]\nfolds = 3\n'
        "[preprocess]\nsize = [12, 12]\n"
        '[augment]\nmode = "random"\nsteps = [{ name = "rotation", angles = [10] }]\n'
    )
    result = run_cli("datasets", "show", "part", "--recipe", "steps.toml", "--out", "drawn", "--json", cwd=home)
    assert result.status == 0, result.err
    return SimpleNamespace(home=home, document=json.loads(result.out))


def test_every_class_sizes_values_and_steps_are_drawn(shown: SimpleNamespace) -> None:
    found = shown.document["pictures"]
    names = ["class-1-class5.png", "class-2-class6.png", "sizes.png", "values.png", "variants.png"]
    assert [Path(figure["file"]).name for figure in found["figures"]] == names
    assert sorted(path.name for path in (shown.home / "drawn").iterdir()) == names
    for figure in found["figures"]:
        with Image.open(shown.home / figure["file"]) as image:
            assert image.text["Description"] == figure["caption"]
    assert found["figures"][0]["caption"].startswith("class5: 24 of 30 images, chosen by chance")
    assert found["figures"][1]["caption"].startswith("class6: all 3 images")
    assert "random rotation" in found["figures"][-1]["caption"]
    assert (found["looked_at"], found["channels"], found["groups"]) == (33, 1, None)
    assert found["sizes"] == [[12, 12], [16, 12]]


def test_what_is_striking_is_said(shown: SimpleNamespace) -> None:
    told = " ".join(shown.document["pictures"]["striking"])
    assert "'class5' has 30 images, 'class6' 3" in told
    assert "The image size tells the class: from it alone 100 %" in told


def test_where_nothing_names_a_folder_only_the_card_is_shown(tmp_path: Path) -> None:
    result = run_cli("datasets", "show", "digits", "--json", cwd=tmp_path)
    assert json.loads(result.out)["pictures"] is None
    assert list(tmp_path.iterdir()) == []


def test_the_same_in_words(tiny: SimpleNamespace, tmp_path: Path) -> None:
    result = run_cli("datasets", "show", tiny.data, cwd=tmp_path)
    assert result.status == 0, result.err
    assert "Looked at all 60 images: gray, 8 bits, 12 x 12 pixels" in result.out
    assert "Pictures in pics-pictures" in result.out and "class-3-class2.png" in result.out
    assert not (tmp_path / "pics-pictures" / "sizes.png").exists()
    before = {path.name: path.read_bytes() for path in (tmp_path / "pics-pictures").iterdir()}
    assert run_cli("datasets", "show", tiny.data, "--root", tiny.data, cwd=tmp_path).status == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "pics-pictures").iterdir()} == before


def test_groups_have_a_column_and_a_picture(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", pictures(each=6))
    rows = [f"class{k}/{i:02}.png,class{k},finger{i // 2}" for k in range(3) for i in range(6)]
    (tmp_path / "data" / "labels.csv").write_text("path,label,group\n" + "\n".join(rows) + "\n")
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nclasses = ["class0", "class1", "class2"]\nsynthetic = true\n'
        'group = "finger"\n[format]\nname = "table"\ngroup = "group"\n'
    )
    result = run_cli("datasets", "show", "mine.toml", "--root", "data", cwd=tmp_path)
    assert result.status == 0, result.err
    lines = [line.split() for line in result.out.splitlines()]
    assert ["class", "all", "fingers"] in lines and ["class1", "6", "3"] in lines and ["total", "18", "3"] in lines
    assert "all 6 synthetic images" in result.out
    assert (tmp_path / "mine-pictures" / "groups.png").is_file()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--root", "nowhere"], "The root nowhere is not a folder"),
        (["--root", "empty"], "class0"),
        (["--out", "file"], "is a file"),
        (["--out", "no/where"], "there is no folder no"),
        (["--recipe", "digits-lanet"], "did you mean 'digits-lenet'"),
    ],
)
def test_what_cannot_be_is_refused(args: list[str], said: str, tiny: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    card = tmp_path / "pics.toml"
    card.write_text(
        'name = "pics"\ntitle = "Pics"\nclasses = ["class0", "class1", "class2"]\n[format]\nname = "folder"\n'
    )
    rooted = [] if "--root" in args else ["--root", tiny.data]
    assert said in refused("datasets", "show", card, *rooted, *args, cwd=tmp_path)
    assert not (tmp_path / "pics-pictures").exists()
