"""The formats that need no code: from files and a card to samples."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bioclass.card import Card, Class, File, Idx, ImageFolder, Npz, Table, load_card
from bioclass.errors import CardError, DatasetError
from bioclass.formats import read_format

RNG = np.random.default_rng(3)


def card(layout, classes=("cat", "dog"), **more):
    return Card(
        name="pets", title="Pets", classes=tuple(Class(name=name) for name in classes), format=layout, **more
    )


def refused(dataset, root, *words, error=DatasetError):
    with pytest.raises(error) as caught:
        read_format(dataset, root).checked(dataset.class_names)
    for word in words:
        assert str(word) in str(caught.value), str(caught.value)
    return str(caught.value)


def draw(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, (4, 5), dtype=np.uint8)).save(path)


# Image folder


def test_folder(tmp_path):
    for name in ("dog/b.png", "dog/a.PNG", "cat/sub/c.png", "cat/._c.png", ".git/x.png", "__MACOSX/cat/y.png"):
        draw(tmp_path / name)
    (tmp_path / "labels.csv").touch()
    samples = read_format(card(ImageFolder()), tmp_path)
    assert samples.ids.tolist() == ["cat/sub/c.png", "dog/a.PNG", "dog/b.png"]
    assert samples.labels.tolist() == ["cat", "dog", "dog"]
    assert samples.images == [tmp_path / name for name in samples.ids]
    assert samples.parts is None
    assert samples.checked(["cat", "dog"]).labels.tolist() == [0, 1, 1]


def test_folder_with_parts(tmp_path):
    for name in ("train/dog/a.png", "train/cat/b.png", "test/dog/a.png", "test/cat/d.png"):
        draw(tmp_path / name)
    samples = read_format(card(ImageFolder(parts=True)), tmp_path).checked(["cat", "dog"])
    assert samples.ids.tolist() == ["train/cat/b.png", "train/dog/a.png", "test/cat/d.png", "test/dog/a.png"]
    assert samples.parts.tolist() == ["train", "train", "test", "test"]


def test_folders_that_do_not_match_the_card(tmp_path):
    dataset = card(ImageFolder())
    refused(dataset, tmp_path / "nowhere", "lacks a folder of images for each of cat, dog", "nowhere", "--root")
    draw(tmp_path / "cat/a.png")
    refused(dataset, tmp_path, "lacks a folder for 'dog'")
    (tmp_path / "dog").mkdir()
    refused(dataset, tmp_path, "dog holds no images", ".png")
    draw(tmp_path / "dog/a.png")
    (tmp_path / "dogs").mkdir()
    refused(dataset, tmp_path, "'dogs'", "did you mean 'dog'?")


def test_folders_that_differ_only_in_case(tmp_path):
    for name in ("cat", "Cat", "dog"):
        draw(tmp_path / name / "a.png")
    refused(card(ImageFolder()), tmp_path, "'Cat' and 'cat'", "differ only in case")


def test_unknown_parts(tmp_path):
    draw(tmp_path / "train/cat/a.png")
    (tmp_path / "valdation").mkdir()
    refused(card(ImageFolder(parts=True)), tmp_path, "valdation", "did you mean 'validation'?")
    (tmp_path / "valdation").rmdir()
    (tmp_path / "train").rename(tmp_path / "test")
    refused(card(ImageFolder(parts=True)), tmp_path, "no folder 'train'")


def test_folders_of_other_names_are_merged(tmp_path):
    for name in ("tabby/1.png", "manx/2.png", "dog/3.png"):
        draw(tmp_path / name)
    dataset = card(ImageFolder(folders={"cat": ("tabby", "manx")}))
    samples = read_format(dataset, tmp_path)
    assert samples.ids.tolist() == ["tabby/1.png", "manx/2.png", "dog/3.png"]
    assert samples.labels.tolist() == ["cat", "cat", "dog"]
    assert samples.groups is None
    draw(tmp_path / "cat/4.png")
    refused(dataset, tmp_path, "'cat'", "is not a class", "rename it")
    (tmp_path / "cat/4.png").unlink()
    (tmp_path / "cat").rmdir()
    (tmp_path / "manx").rename(tmp_path / "mnx")
    refused(dataset, tmp_path, "'mnx'", "did you mean 'manx'?")
    refused(dataset, tmp_path / "nowhere", "tabby, manx, dog")


@pytest.mark.parametrize("parts", [False, True])
def test_groups_from_the_names_of_files(tmp_path, parts):
    above = "train/" if parts else ""
    for name in ("cat/7-a.png", "cat/7-b.png", "cat/7-b-mask.png", "dog/sub/7-c.PNG"):
        draw(tmp_path / above / name)
    layout = ImageFolder(parts=parts, ignore=".*-mask.png", match=r"(?:.*/)?(?P<photo>\d+)-\w[.](?i:png)")
    samples = read_format(card(layout), tmp_path)
    assert samples.ids.tolist() == [above + name for name in ("cat/7-a.png", "cat/7-b.png", "dog/sub/7-c.PNG")]
    assert samples.groups.tolist() == ["7", "7", "7"]
    within = layout.model_copy(update={"match": r"(?P<breed>\w+)/(?:.*/)?(?P<photo>\d+)-.*"})
    assert read_format(card(within), tmp_path).groups.tolist() == ["cat/7", "cat/7", "dog/7"]


def test_names_of_files_that_do_not_match(tmp_path):
    for name in ("cat/7-a.png", "dog/new one.png"):
        draw(tmp_path / name)
    layout = ImageFolder(match=r".*/(?P<photo>\d+)-.*")
    message = refused(card(layout, group="photo"), tmp_path, "dog/new one.png", "its photo is unknown", "rename it")
    assert "\n" not in message
    refused(card(ImageFolder(ignore="dog/.*")), tmp_path, "dog holds no images")


# Table


def table(folder, text, name="labels.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_table(tmp_path):
    for name in ("x/1.png", "x/2.png"):
        draw(tmp_path / name)
    table(tmp_path, "\ufeffpath,label,slide,set,key\nx/2.png,NA,0012,train,b\nx/1.png,dog,007,test,a\n")
    layout = Table(group="slide", part="set", id="key")
    samples = read_format(card(layout, ("NA", "dog")), tmp_path).checked(["NA", "dog"])
    assert samples.images == [tmp_path / "x/2.png", tmp_path / "x/1.png"]
    assert samples.labels.tolist() == [0, 1]
    assert samples.groups.tolist() == ["0012", "007"]
    assert samples.parts.tolist() == ["train", "test"]
    assert samples.ids.tolist() == ["b", "a"]


def test_table_below_root_with_tabs_and_paths_from_its_own_folder(tmp_path):
    draw(tmp_path / "images/1.png")
    table(tmp_path / "tables", "path\tlabel\n../images/1.png\tcat\n", "all.tsv")
    samples = read_format(card(Table(file="tables/all.tsv")), tmp_path)
    assert samples.ids.tolist() == ["images/1.png"]
    assert samples.images == [tmp_path / "images/1.png"]


def test_table_with_absolute_paths_below_root(tmp_path):
    draw(tmp_path / "1.png")
    table(tmp_path, f"path,label\n{tmp_path / '1.png'},cat\n")
    assert read_format(card(Table()), tmp_path).ids.tolist() == ["1.png"]


def test_table_root_may_be_relative(tmp_path, monkeypatch):
    draw(tmp_path / "data/1.png")
    table(tmp_path / "data", "path,label\n1.png,cat\n")
    monkeypatch.chdir(tmp_path)
    assert read_format(card(Table()), Path("data")).images == [Path("data/1.png")]


@pytest.mark.parametrize("text", ["../secret.png", "/etc/passwd", "x/../../secret.png"])
def test_table_paths_do_not_leave_root(tmp_path, text):
    draw(tmp_path / "secret.png")
    table(tmp_path / "root", f"path,label\n{text},cat\n")
    refused(card(Table()), tmp_path / "root", text, "leaves")


def test_table_that_is_missing_or_damaged(tmp_path):
    dataset = card(Table())
    message = refused(dataset, tmp_path, "lacks labels.csv", tmp_path, "--root")
    assert "datasets get" not in message
    table(tmp_path, "")
    refused(dataset, tmp_path, "is empty")
    table(tmp_path, "path,label\na.png,cat\nb.png,cat,more,still\n")
    refused(dataset, tmp_path, "labels.csv", "damaged")
    table(tmp_path, "path,label\na.png,cat,more\nb.png,cat,more\n")
    refused(dataset, tmp_path, "more values than its header")
    table(tmp_path, "path,label\na.png,cat\na.png\n,cat\n")
    refused(dataset, tmp_path, "no value for 'path' in row 3")
    table(tmp_path, "path,label\na.png,cat\na.png\n")
    refused(dataset, tmp_path, "no value for 'label' in row 2")
    (tmp_path / "labels.csv").write_bytes(b"path,label\n\xff\xfe.png,cat\n")
    refused(dataset, tmp_path, "UTF-8")
    table(tmp_path, "path,lable\na.png,cat\n")
    refused(dataset, tmp_path, "no column 'label'", "did you mean 'lable'?", "path, lable")


def test_table_lists_images_that_are_not_there(tmp_path):
    draw(tmp_path / "here.png")
    table(tmp_path, "path,label\nhere.png,cat\n" + "".join(f"gone{i}.png,dog\n" for i in range(7)))
    message = refused(card(Table()), tmp_path, "7 of the 8 images", "gone0.png", "gone4.png", "and more")
    assert "gone5.png" not in message


# npz


def medmnist(folder, **change):
    arrays = {}
    for word, n in (("train", 5), ("val", 2), ("test", 3)):
        arrays[f"{word}_images"] = RNG.integers(0, 255, (n, 28, 28, 3), dtype=np.uint8)
        arrays[f"{word}_labels"] = RNG.integers(0, 2, (n, 1), dtype=np.uint8)
    arrays |= change
    np.savez_compressed(folder / "data.npz", **arrays)
    return arrays


MEDMNIST = Npz(
    images="{part}_images", labels="{part}_labels", parts={"train": "train", "val": "validation", "test": "test"}
)


@pytest.mark.parametrize("limit", ["0", "1000"])
def test_npz_with_parts(tmp_path, monkeypatch, limit):
    monkeypatch.setenv("BIOCLASS_MEMORY_LIMIT", limit)
    monkeypatch.setenv("BIOCLASS_CACHE", str(tmp_path / "cache"))
    arrays = medmnist(tmp_path)
    samples = read_format(card(MEDMNIST), tmp_path).checked(["cat", "dog"])
    assert isinstance(samples.images, np.memmap) == (limit == "0")
    for kind in ("images", "labels"):
        expected = np.concatenate([arrays[f"{word}_{kind}"] for word in ("train", "val", "test")])
        np.testing.assert_array_equal(getattr(samples, kind), expected if kind == "images" else expected[:, 0])
    assert samples.parts.tolist() == ["train"] * 5 + ["validation"] * 2 + ["test"] * 3
    assert samples.ids[[0, 5, 9]].tolist() == ["train/00000", "validation/00000", "test/00002"]


def test_npz_without_parts(tmp_path):
    images = RNG.integers(0, 65535, (4, 6, 7), dtype=np.uint16)
    names = np.array([b"dog", b"cat", b"dog", b"cat"])
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "data.npz", x=images, y=names, slide=np.array([1, 1, 2, 2]), key=np.array(list("abcd")))
        layout = Npz(images="x", labels="y", groups="slide", ids="key")
        samples = read_format(card(layout), tmp_path).checked(["cat", "dog"])
        np.testing.assert_array_equal(samples.images, images[..., None])
        assert samples.labels.tolist() == [1, 0, 1, 0]
        assert samples.groups.tolist() == ["1", "1", "2", "2"]
        assert samples.ids.tolist() == list("abcd")


def test_npz_in_fortran_order(tmp_path):
    images = np.asfortranarray(RNG.integers(0, 255, (4, 6, 7), dtype=np.uint8))
    np.savez(tmp_path / "data.npz", images=images, labels=np.array([0, 1, 0, 1]))
    np.testing.assert_array_equal(read_format(card(Npz()), tmp_path).images, images)


def test_npz_parts_are_found_by_the_plain_names(tmp_path):
    arrays = {f"{part}_x": np.zeros((2, 3, 3), np.uint8) for part in ("train", "test")}
    np.savez(tmp_path / "data.npz", train_y=np.array([0, 1]), test_y=np.array([0, 1]), **arrays)
    samples = read_format(card(Npz(images="{part}_x", labels="{part}_y")), tmp_path)
    assert samples.parts.tolist() == ["train", "train", "test", "test"]
    refused(card(Npz(images="x_{part}", labels="y_{part}")), tmp_path, "'x_{part}'", "train_x", "format.parts")
    refused(card(Npz(images="{part}_x", labels="y")), tmp_path, "{part} in some names only", error=CardError)


def test_npz_that_does_not_fit(tmp_path):
    medmnist(tmp_path)
    layout = MEDMNIST.model_copy(update={"images": "{part}_image"})
    refused(card(layout), tmp_path, "no array 'train_image'", "did you mean 'train_images'?")
    medmnist(tmp_path, val_labels=np.zeros((3, 1), int))
    refused(card(MEDMNIST), tmp_path, "'val_images'", "(2, 28, 28, 3)", "3 labels")
    medmnist(tmp_path, test_images=np.zeros((3, 28, 28), np.uint8))
    refused(card(MEDMNIST), tmp_path, "'test_images'", "differ in size or type")
    medmnist(tmp_path, train_labels=np.zeros((5, 14), int))
    refused(card(MEDMNIST), tmp_path, "(5, 14)", "one class an image")
    medmnist(tmp_path, train_labels=np.array([{}] * 5, dtype=object))
    refused(card(MEDMNIST), tmp_path, "'train_labels'", "Python objects")


def test_npz_that_is_missing_or_damaged(tmp_path):
    refused(card(Npz()), tmp_path, "lacks data.npz")
    (tmp_path / "data.npz").write_text("<html>")
    refused(card(Npz()), tmp_path, "data.npz is damaged")
    np.savez(
        tmp_path / "data.npz", images=RNG.integers(0, 255, (4, 60, 70), dtype=np.uint8), labels=np.zeros(4, int)
    )
    whole = (tmp_path / "data.npz").read_bytes()
    (tmp_path / "data.npz").write_bytes(whole[:9000])
    refused(card(Npz()), tmp_path, "damaged or cut short")
    (tmp_path / "data.npz").write_bytes(whole[:5000] + b"\0\1\2\3" + whole[5004:])
    refused(card(Npz()), tmp_path, "damaged or cut short", "CRC")
    # A header that claims more than the member holds asks for nothing.
    claimed = whole.replace(b"(4, 60, 70)", b"(4, 60, 79)")
    (tmp_path / "data.npz").write_bytes(claimed)
    refused(card(Npz()), tmp_path, "damaged or cut short")


def test_npz_digest(tmp_path):
    medmnist(tmp_path)
    digest = hashlib.sha256((tmp_path / "data.npz").read_bytes()).hexdigest()
    assert len(read_format(card(MEDMNIST, files=(File(name="data.npz", sha256=digest),)), tmp_path)) == 10
    refused(card(MEDMNIST, files=(File(name="data.npz", sha256="0" * 64),)), tmp_path, digest[:12], "0" * 12)


# IDX

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
IDX = Idx(
    images={"train": "a-images.gz", "test": "b-images.gz"}, labels={"train": "a-labels.gz", "test": "b-labels.gz"}
)


def idx_bytes(array):
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(folder, dtype="u1", packed=True):
    arrays = {}
    for name, n in (("a", 5), ("b", 3)):
        arrays[f"{name}-images"] = RNG.integers(0, 100, (n, 4, 6)).astype(dtype)
        arrays[f"{name}-labels"] = RNG.integers(0, 2, n).astype(np.uint8)
    for name, array in arrays.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
        else:
            (folder / name).write_bytes(idx_bytes(array))
    return arrays


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("limit", ["0", "1000"])
@pytest.mark.parametrize("dtype", CODES)
def test_idx(tmp_path, monkeypatch, dtype, limit, packed):
    monkeypatch.setenv("BIOCLASS_MEMORY_LIMIT", limit)
    monkeypatch.setenv("BIOCLASS_CACHE", str(tmp_path / "cache"))
    arrays = write_idx(tmp_path, dtype, packed)
    samples = read_format(card(IDX), tmp_path)
    assert isinstance(samples.images, np.memmap) == (limit == "0")
    assert samples.images.dtype == np.dtype(dtype)
    assert samples.images.dtype.isnative
    np.testing.assert_array_equal(samples.images, np.concatenate([arrays["a-images"], arrays["b-images"]]))
    np.testing.assert_array_equal(samples.labels, np.concatenate([arrays["a-labels"], arrays["b-labels"]]))
    assert samples.ids[[0, 4, 5]].tolist() == ["train/00000", "train/00004", "test/00000"]
    assert samples.parts.tolist() == ["train"] * 5 + ["test"] * 3
    samples.checked(["cat", "dog"])


def test_idx_single_raw_part_is_mapped(tmp_path):
    arrays = write_idx(tmp_path, packed=False)
    layout = Idx(images={"train": "a-images"}, labels={"train": "a-labels"})
    samples = read_format(card(layout), tmp_path)
    assert isinstance(samples.images, np.memmap)
    np.testing.assert_array_equal(samples.images, arrays["a-images"])
    content = (tmp_path / "a-images").read_bytes()
    right = File(name="a-images.gz", sha256=hashlib.sha256(content).hexdigest())
    assert len(read_format(card(layout, files=(right,)), tmp_path)) == 5
    wrong = right.model_copy(update={"sha256": "f" * 64})
    refused(card(layout, files=(wrong,)), tmp_path, "a-images", "ffffffffffff...")


def test_idx_unpacked_under_its_packed_name(tmp_path):
    arrays = write_idx(tmp_path)
    (tmp_path / "a-images.gz").write_bytes(idx_bytes(arrays["a-images"]))
    np.testing.assert_array_equal(read_format(card(IDX), tmp_path).images[:5], arrays["a-images"])


def test_idx_missing_files(tmp_path):
    dataset = card(IDX, mirrors=("https://example.org/",))
    refused(dataset, tmp_path / "nowhere", "a-images.gz, b-images.gz, a-labels.gz, b-labels.gz", "nowhere")
    write_idx(tmp_path)
    (tmp_path / "b-labels.gz").unlink()
    message = refused(dataset, tmp_path, "lacks b-labels.gz: put it into", tmp_path, "bioclass datasets get pets")
    assert "a-images" not in message


def test_idx_digest_is_that_of_the_content(tmp_path):
    arrays = write_idx(tmp_path)
    digest = hashlib.sha256(idx_bytes(arrays["b-images"])).hexdigest()
    for name in ("b-images.gz", "b-images"):
        assert len(read_format(card(IDX, files=(File(name=name, sha256=digest),)), tmp_path)) == 8
    wrong = card(IDX, files=(File(name="b-images.gz", sha256="0" * 64),), mirrors=("https://example.org/",))
    refused(
        wrong, tmp_path, "b-images.gz", digest[:12], "000000000000...", "delete it", "bioclass datasets get pets"
    )


@pytest.mark.parametrize("packed", [True, False])
def test_idx_damaged(tmp_path, packed):
    arrays = write_idx(tmp_path, packed=packed)
    path = tmp_path / ("a-images.gz" if packed else "a-images")
    whole = idx_bytes(arrays["a-images"])

    def put(content):
        path.write_bytes(gzip.compress(content) if packed else content)

    put(whole[:-1])
    refused(card(IDX), tmp_path, path.name, "damaged or cut short", "(5, 4, 6)")
    put(whole + b"\0")
    refused(card(IDX), tmp_path, path.name, "damaged or cut short")
    put(whole[:9])
    refused(card(IDX), tmp_path, path.name, "its header ends early")
    put(b"\0\0\x0a\x03" + whole[4:])
    refused(card(IDX), tmp_path, path.name, "not an IDX file", "00 00 0a 03")
    put(b"")
    refused(card(IDX), tmp_path, path.name, "not an IDX file")
    put(b"\0\0\x08\x03" + b"\xff" * 12)
    refused(card(IDX), tmp_path, path.name, "damaged or cut short")
    put(idx_bytes(arrays["a-images"].reshape(5, 24)))
    refused(card(IDX), tmp_path, path.name, "(N, H, W)")
    put(idx_bytes(arrays["a-images"][:4]))
    refused(card(IDX), tmp_path, "4 images", "5 labels")
    put(idx_bytes(arrays["a-images"][:, :3]))
    refused(card(IDX), tmp_path, "all parts must be alike")


def test_idx_truncated_gz(tmp_path):
    write_idx(tmp_path)
    path = tmp_path / "a-images.gz"
    whole = path.read_bytes()
    for end in (1, 5, 15, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:end])
        message = refused(card(IDX), tmp_path, "a-images.gz")
        assert "\n" not in message
        assert "cut short" in message or end == 1


def test_idx_card_with_unequal_parts(tmp_path):
    layout = Idx(images={"train": "a"}, labels={"train": "a", "test": "b"})
    refused(card(layout), tmp_path, "same parts", error=CardError)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("limit", ["0", "1000"])
def test_idx_stored_by_columns_and_counted_from_one(tmp_path, monkeypatch, limit, packed):
    monkeypatch.setenv("BIOCLASS_MEMORY_LIMIT", limit)
    monkeypatch.setenv("BIOCLASS_CACHE", str(tmp_path / "cache"))
    arrays = write_idx(tmp_path, packed=packed)
    for name in ("a-labels", "b-labels"):
        content = idx_bytes(arrays[name] + 1)
        (tmp_path / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(content) if packed else content)
    layout = IDX.model_copy(update={"transpose": True, "first_label": 1})
    samples = read_format(card(layout), tmp_path).checked(["cat", "dog"])
    stored = np.concatenate([arrays["a-images"], arrays["b-images"]])
    assert samples.images.shape == (8, 6, 4, 1) and samples.images.flags.c_contiguous
    assert isinstance(samples.images, np.memmap) == (limit == "0")
    np.testing.assert_array_equal(samples.images[..., 0], stored.transpose(0, 2, 1))
    np.testing.assert_array_equal(samples.labels, np.concatenate([arrays["a-labels"], arrays["b-labels"]]))


def test_idx_labels_below_the_first(tmp_path):
    write_idx(tmp_path)
    layout = IDX.model_copy(update={"first_label": 1})
    refused(card(layout), tmp_path, "start at 1", "Got 0")
    refused(card(IDX, ("cat", "dog", "cow")).model_copy(update={"format": layout}), tmp_path, "start at 1")


@pytest.mark.real_data
def test_mnist():
    folder = os.environ.get("BIOCLASS_TEST_DATA")
    if not folder:
        pytest.skip("BIOCLASS_TEST_DATA does not name a folder of real data")
    mnist = load_card(Path(__file__).parent.parent / "datasets" / "mnist.toml")
    samples = read_format(mnist, Path(folder) / "mnist").checked(mnist.class_names)
    assert samples.images.shape == (70_000, 28, 28, 1)
    assert samples.images.dtype == np.uint8
    assert samples.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(samples.labels[60_000:]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert samples.ids[[12, 60_007]].tolist() == ["train/00012", "test/00007"]
    train = samples.images[samples.parts == "train"] / 255
    assert round(train.mean(), 4) == 0.1307
    assert round(train.std(), 4) == 0.3081
