"""One contract over every shipped card: a tiny copy in the published layout is read, labelled and grouped."""

from __future__ import annotations

import gzip
import struct
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import refused, run_cli, write_png

from bioclass.card import Card, load_card
from bioclass.dataset import load_samples
from bioclass.errors import DatasetError
from bioclass.samples import Samples
from bioclass.shelf import Shelf, shipped_folder

CARDS = {path.stem: load_card(path) for path in sorted(shipped_folder("datasets").glob("*.toml"))}
del CARDS["henry"]  # which is made, not read: see test_henry


class Copy(NamedTuple):
    """What a tiny copy holds: the labels and the groups in order, or by part."""

    counts: dict[str, int]
    groups: list[str] | None = None
    parts: dict[str, int] | None = None


def picture(card: Card, path: Path) -> None:
    """Write one image as the card says: its size, or a small one, and its channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*(card.size or (9, 7)), *((3,) if card.channels == 3 else ()))
    write_png(path, np.full(shape, 80, np.uint8))


def herlev(card: Card, root: Path) -> Copy:
    folders = [folder for label in card.class_names for folder in card.format.folders_of(label)]
    for folder in folders:
        for name in ("149143370-149143378-001.BMP", "149143370-149143388-002.bmp", "157181452-157181461-001.BMP"):
            picture(card, root / folder / name)
        picture(card, root / folder / "149143370-149143378-001-d.bmp")
    each = {label: 3 * len(card.format.folders_of(label)) for label in card.class_names}
    return Copy(each, ["149143370", "149143370", "157181452"] * len(folders))


def sipakmed(card: Card, root: Path) -> Copy:
    for label in card.class_names:
        inner = root / label / label
        for name in ("001.bmp", "002.bmp", "CROPPED/001_01.bmp", "CROPPED/001_02.bmp", "CROPPED/002_01.bmp"):
            picture(card, inner / name)
        (inner / "001_cyt01.dat").write_text("1,2\n")
    groups = [f"{label}/{image}" for label in card.class_names for image in ("001", "001", "002")]
    return Copy(dict.fromkeys(card.class_names, 3), groups)


def nist_sd4(card: Card, root: Path) -> Copy:
    for i, letter in enumerate("ALRTW"):
        folder = root / "sd04" / "png_txt" / f"figs_{i}"
        for kind in "fs":
            path = folder / f"{kind}{250 * i + 1:04}_0{i + 1}.png"
            picture(card, path)
            # The second rolling of a tented arch has a second class, and so has that of a whorl.
            second = {"sT": "A", "sW": "L"}.get(kind + letter, "")
            history = f"{path.stem}.pct {letter}{second} a0591.pct"
            path.with_suffix(".txt").write_text(f"Gender: M\nClass: {letter}\nHistory: {history}\n")
    merged = "T" not in card.class_names
    counts = {label: 4 if merged and label == "A" else 2 for label in card.class_names}
    return Copy(counts, [f"{250 * i + 1:04}" for i in range(5) for _ in "fs"])


def fingers(card: Card, root: Path) -> Copy:
    for label in card.class_names:
        for name in ("0012_1.png", "0012_2.png", "left-hand_3-1.png"):
            picture(card, root / label / name)
    return Copy(dict.fromkeys(card.class_names, 3), ["0012", "0012", "left-hand_3"] * len(card.classes))


def corals(card: Card, root: Path) -> Copy:
    for label in card.class_names:
        for name in ("T1.jpg", "T10.jpg"):
            picture(card, root / label / name)
    (root / "labels.csv").write_text("path,label\n")
    return Copy(dict.fromkeys(card.class_names, 2))


def idx(card: Card, root: Path) -> Copy:
    """Every class twice to train and once to test; the first row of pixels of an upright image is bright."""
    n = len(card.classes)
    for part, times in (("train", 2), ("test", 1)):
        images = np.zeros((n * times, 28, 28), np.uint8)
        images[:, 0] = 255
        if card.format.transpose:
            images = images.swapaxes(1, 2)
        labels = (np.tile(np.arange(n), times) + card.format.first_label).astype(np.uint8)
        for name, array in ((card.format.images[part], images), (card.format.labels[part], labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (root / name).write_bytes(gzip.compress(header + array.tobytes()))
    return Copy(dict.fromkeys(card.class_names, 3), parts={"train": 2 * n, "test": n})


def inside(card: Card, root: Path) -> Copy:
    """Digits come with scikit-learn."""
    return Copy(dict(zip(card.class_names, (178, 182, 177, 183, 181, 182, 181, 179, 174, 180), strict=True)))


GENERATORS = {
    "digits": inside,
    "eilat": corals,
    "emnist-balanced": idx,
    "emnist-digits": idx,
    "emnist-letters": idx,
    "fashion-mnist": idx,
    "fingers": fingers,
    "herlev": herlev,
    "herlev-2": herlev,
    "kmnist": idx,
    "mnist": idx,
    "nist-sd4": nist_sd4,
    "nist-sd4-4": nist_sd4,
    "rsmas": corals,
    "sipakmed": sipakmed,
}


def read(card: Card, root: Path) -> Samples:
    """Read a tiny copy: without the counts and digests of the whole one."""
    return load_samples(card.model_copy(update={"counts": {}, "files": ()}), root, Shelf())


def test_every_card_has_a_tiny_copy():
    assert set(GENERATORS) == set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_contract(name, tmp_path):
    card = CARDS[name]
    copy = GENERATORS[name](card, tmp_path)
    samples = read(card, tmp_path)
    labels = [card.class_names[label] for label in samples.labels]
    assert Counter(labels) == copy.counts
    assert len(set(samples.ids.tolist())) == len(samples)
    assert (samples.groups is None) == (card.group is None)
    assert samples.groups is None or samples.groups.tolist() == copy.groups
    assert (None if samples.parts is None else Counter(samples.parts.tolist())) == copy.parts
    if isinstance(samples.images, np.ndarray):
        assert samples.images.shape[1:] == (*card.size, card.channels)
    else:
        assert not [path for path in samples.images if not path.is_file()]
        assert [path.relative_to(tmp_path).as_posix() for path in samples.images] == samples.ids.tolist()


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.counts and name != "digits"])
def test_a_copy_that_is_not_whole_is_refused(name, tmp_path):
    card = CARDS[name].model_copy(update={"files": ()})
    GENERATORS[name](card, tmp_path)
    with pytest.raises(DatasetError, match=r"counts .* images.*, but there are \d+.*: complete the data"):
        load_samples(card, tmp_path, Shelf())


@pytest.mark.parametrize("name", [name for name in CARDS if name != "digits"])
def test_show_without_the_files(name, tmp_path):
    shown = run_cli("datasets", "show", name, env={"BIOCLASS_DATA": str(tmp_path)})
    assert shown.status == 0, shown.err
    assert f'title = "{CARDS[name].title}"' in shown.out and "--root" in shown.err
    assert '= ""' not in shown.out and "[format.folders]\n\n" not in shown.out


def test_show_counts_a_partial_copy(tmp_path):
    corals(CARDS["rsmas"], tmp_path)
    shown = run_cli("datasets", "show", "rsmas", env={"BIOCLASS_ROOT": str(tmp_path)})
    assert shown.status == 0, shown.err
    assert "Published are 766 patches" in shown.out
    assert shown.out.splitlines()[-1].split() == ["total", "28"]


@pytest.mark.parametrize("name", ["emnist-letters", "emnist-balanced", "emnist-digits", "kmnist"])
def test_characters_stand_upright(name, tmp_path):
    idx(CARDS[name], tmp_path)
    images = read(CARDS[name], tmp_path).images
    assert (images[:, 0] == 255).all() and (images[:, 1:] == 0).all()


def test_a_stray_image_among_smears_is_named(tmp_path):
    card = CARDS["herlev"]
    herlev(card, tmp_path)
    picture(card, tmp_path / "normal_columnar" / "Copy of 149143370-149143378-001.BMP")
    message = refused("datasets", "show", "herlev", "--root", tmp_path)
    assert "Copy of 149143370-149143378-001.BMP" in message and "its slide is unknown" in message


def test_second_classes_of_sd4_are_right_too(tmp_path):
    five, four = CARDS["nist-sd4"], CARDS["nist-sd4-4"]
    nist_sd4(five, tmp_path)
    for card, wanted in ((five, [("T", "A"), ("W", "L")]), (four, [("W", "L")])):
        samples = read(card, tmp_path)
        names = card.class_names
        found = [(names[samples.labels[row]], names[other]) for row, other in np.argwhere(samples.also)]
        assert sorted(found) == wanted


def test_prints_of_sd4_that_are_not_whole(tmp_path):
    card = CARDS["nist-sd4"]
    with pytest.raises(DatasetError, match=r"holds no prints of 'nist-sd4'.*--root"):
        read(card, tmp_path)
    nist_sd4(card, tmp_path)
    text = tmp_path / "sd04/png_txt/figs_1/f0251_02.txt"
    text.write_text("Gender: M\nClass: X\n")
    with pytest.raises(DatasetError, match=r"f0251_02\.txt has no line 'Class: '"):
        read(card, tmp_path)
    text.unlink()
    with pytest.raises(DatasetError, match=r"f0251_02\.png has no f0251_02\.txt beside it"):
        read(card, tmp_path)


def test_patches_with_the_photograph_in_a_table(tmp_path):
    corals(CARDS["rsmas"], tmp_path)
    rows = [f"{label}/T{i}.jpg,{label},{label}-photo\n" for label in ("ACER", "SPO") for i in (1, 10)]
    (tmp_path / "photos.csv").write_text("path,label,photo\n" + "".join(rows))
    (tmp_path / "reef.toml").write_text(
        'name = "reef"\ntitle = "Reef"\nclasses = ["ACER", "SPO"]\ngroup = "photo"\n'
        '[format]\nname = "table"\nfile = "photos.csv"\ngroup = "photo"\n'
    )
    samples = load_samples(load_card(tmp_path / "reef.toml"), tmp_path, Shelf())
    assert samples.groups.tolist() == ["ACER-photo"] * 2 + ["SPO-photo"] * 2
