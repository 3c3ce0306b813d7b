"""What ``bioclass check`` says of datasets with one thing wrong with them each."""

from __future__ import annotations

import io
import json
import re
import shutil

import numpy as np
import pytest
from conftest import pictures, refused, run_cli, write_folder, write_png, write_recipe
from PIL import Image

from bioclass.check import check_dataset
from bioclass.cli.progress import counter
from bioclass.shelf import Shelf


@pytest.fixture
def data(tmp_path):
    return write_folder(tmp_path / "pics", photos())


def photos(classes=3, each=12, side=20, seed=0):
    """Images (classes * each, side, side) of smooth patterns, no two alike."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    blurred = gaussian_filter(rng.uniform(0, 1, (classes * each, side, side)), (0, 2, 2))
    return (255 * (blurred - blurred.min()) / np.ptp(blurred)).astype(np.uint8)


def check(*args, status, **where):
    result = run_cli("check", *args, "--json", **where)
    assert result.status == status, result
    found = json.loads(result.out)["findings"]
    order = ["error", "warning", "note"]
    assert [order.index(each["severity"]) for each in found] == sorted(
        order.index(each["severity"]) for each in found
    )
    return {each["kind"]: each for each in found}


def test_nothing_is_wrong(data):
    assert check(data, status=0) == {}
    said = run_cli("check", data)
    assert said.status == 0 and "36 images, 3 classes; 0 errors, 0 warnings, 0 notes." in said.out


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_how_far_it_is(data, monkeypatch):
    """Both steps reach all images; what can be read is compared."""
    (data / "class1" / "empty.png").touch()
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with counter() as advance:
        told = []

        def both(*step):
            told.append(step)
            advance(*step)

        card, place = Shelf().find(str(data))
        check_dataset(card, place, Shelf(), None, both)
    assert [step for step in told if step[0] == "reading"] == [("reading", n, 37) for n in range(1, 38)]
    assert told[-1] == ("comparing", 36, 36)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).splitlines()[-2:]
    assert "reading" in last[0] and "37/37" in last[0] and "comparing" in last[1] and "36/36" in last[1]


def test_a_log_has_no_bars(data):
    assert run_cli("check", data).err == f"Checking pics in {data}\n"


# Bad input: each is a finding, and the other files are read all the same


def _text(path):
    path.write_text("no image")


def _huge(path):
    """The header of a PNG of 50,000 x 50,000 pixels; it is refused before it is decoded."""
    import struct
    import zlib

    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def _truncated(path):
    write_png(path, np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-300])


def _cmyk(path):
    Image.new("CMYK", (20, 20)).save(path, "JPEG")


def _stack(path):
    import tifffile

    tifffile.imwrite(path, np.zeros((5, 20, 20), dtype=np.uint16))


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("text.jpg", _text, "is not an image that bioclass reads"),
        ("empty.png", lambda path: path.touch(), "is empty (0 bytes): copy it again"),
        ("huge.png", _huge, "is too large (50000 x 50000 pixels"),
        ("cut.png", _truncated, "is damaged or cut short"),
        ("print.jpg", _cmyk, "has the colour space CMYK: convert it"),
        ("stack.tif", _stack, "holds more than one image (5 pages"),
    ],
)
def test_files_that_cannot_be_read(data, name, write, words):
    write(data / "class1" / name)
    # A second mistake: the check goes on.
    shutil.copy(data / "class0" / "00.png", data / "class0" / "copy.png")
    found = check(data, status=1)
    assert words in found["unreadable"]["message"] and name in found["unreadable"]["message"]
    assert found["unreadable"]["items"] == [f"class1/{name}"]
    assert "copies" in found


def test_files_with_one_reason_are_one_finding(data):
    for number in range(4):
        (data / "class0" / f"empty{number}.png").touch()
    found = check(data, status=1)["unreadable"]
    assert len(found["items"]) == 4 and "So it is with 3 more files." in found["message"]


def test_alpha_and_mixed_kinds(data):
    image = np.full((20, 20, 4), 99, dtype=np.uint8)
    image[:10] = 7
    write_png(data / "class0" / "alpha.png", image)
    write_png(data / "class2" / "deep.png", np.arange(400, dtype=np.uint16).reshape(20, 20))
    found = check(data, status=1)
    assert found["alpha"]["items"] == ["class0/alpha.png"]
    assert "36 are gray uint8, 1 are RGB with alpha uint8, 1 are gray uint16" in (found["mixed-kinds"]["message"])
    assert len(found["mixed-kinds"]["items"]) == 2


def test_channels_that_are_not_those_of_the_card(table, tmp_path):
    """Gray that was stored as RGB is gray, as a fit takes it; colour is not."""
    card, *root = table({}, more="channels = 1\n")
    image = np.asarray(Image.open(tmp_path / "pics" / "class0" / "00.png"))
    write_png(tmp_path / "pics" / "class0" / "00.png", np.stack([image] * 3, axis=-1))
    assert check(card, *root, status=0) == {}
    write_png(tmp_path / "pics" / "class0" / "00.png", np.stack([image, image, 255 - image], axis=-1))
    found = check(card, *root, status=1)
    assert found["channels"]["items"] == ["class0/00.png"] and "mixed-kinds" in found


def test_16_bit_images_of_12_bits(tmp_path):
    root = write_folder(tmp_path / "deep", photos().astype(np.uint16) * 16)
    assert "bit_depth = 12" in check(root, status=0)["bit-depth"]["mend"]


def test_constant_images(data):
    write_png(data / "class0" / "black.png", np.zeros((20, 20), dtype=np.uint8))
    write_png(data / "class1" / "black.png", np.zeros((20, 20), dtype=np.uint8))
    found = check(data, status=0)
    assert found["constant"]["items"] == ["class0/black.png", "class1/black.png"]
    assert "near-copies" not in found and "copies" not in found  # they show nothing that could be copied


def test_images_that_hold_no_numbers(tmp_path):
    images = pictures(2, dtype="float32")
    images[3, 0, 0] = np.nan
    np.savez(tmp_path / "data.npz", images=images, labels=[0, 1] * 12)
    card = tmp_path / "a.toml"
    card.write_text('name = "a"\ntitle = "A"\nclasses = ["x", "y"]\nformat.name = "npz"\n')
    assert check(card, "--root", tmp_path, status=1)["not-finite"]["items"] == ["03"]


# The layout


def test_loose_images_and_other_files(data):
    shutil.copy(data / "class0" / "00.png", data / "loose.png")
    (data / "class1" / "slide.svs").write_bytes(b"x")
    (data / "readme.txt").write_text("x")
    found = check(data, status=0)
    assert found["loose"]["items"] == ["loose.png"]
    assert found["other-files"]["items"] == ["class1/slide.svs"]


def test_classes_that_differ_in_case(data):
    shutil.copytree(data / "class0", data / "Class0")
    found = check(data, status=1)
    assert "The folders 'Class0' and 'class0'" in found["layout"]["message"]
    assert "differ only in case" in found["layout"]["message"]
    assert "label-conflict" in found  # the images of both were read


def test_a_class_folder_without_images(data):
    (data / "empty").mkdir()
    found = check(data, status=1)
    assert "holds no images" in found["layout"]["message"] and found["empty-class"]["items"] == ["empty"]


def test_a_class_with_one_image(data):
    for path in sorted((data / "class2").iterdir())[1:]:
        path.unlink()
    found = check(data, status=1)
    assert "'class2' has one image" in found["single"]["message"]
    assert found["single"]["items"] == ["class2/00.png"]


@pytest.fixture
def table(tmp_path):
    """Write a table of images with these columns, and return its card."""
    root = write_folder(tmp_path / "pics", photos())

    def _table(columns, rows=(), classes=("class0", "class1", "class2"), more=""):
        lines = [",".join(["path", "label", *columns])]
        for number, path in enumerate(sorted(root.rglob("*.png"))):
            name = path.relative_to(root).as_posix()
            lines.append(",".join([name, path.parent.name, *(str(value(number)) for value in columns.values())]))
        (root / "labels.csv").write_text("\n".join([*lines, *rows]) + "\n")
        card = tmp_path / "card.toml"
        named = "".join(f'{key} = "{key}"\n' for key in columns)
        card.write_text(
            f'name = "t"\ntitle = "T"\nclasses = {json.dumps(classes)}\n{more}[format]\nname = "table"\n{named}'
        )
        return card, "--root", root

    return _table


def test_a_table_with_mistakes(table):
    rows = ["class0/lost.png,class0", "class0/00.png,class0", "../out.png,class0", "class0/01.png,"]
    found = run_cli("check", *table({}, rows, more="counts = { all = 40 }\n"), "--json")
    assert found.status == 1
    said = [each["message"] for each in json.loads(found.out)["findings"]]
    assert json.loads(found.out)["images"] == 36
    for words in (
        "class0/lost.png",
        "'class0/00.png' stands 2 times",
        "leaves",
        "no value for 'label'",
        "counts 40",
    ):
        assert any(words in line for line in said), (words, said)


def test_labels_that_are_no_class(table):
    found = check(*table({}, classes=("class0", "class1", "klass2")), status=1)
    assert "Label 'class2'" in found["labels"]["message"] and "'klass2'" in found["empty-class"]["message"]


def test_class_names_of_a_card_that_differ_in_case(table):
    found = check(*table({}, classes=("class0", "class1", "class2", "Class2")), status=1)
    assert "'class2' and 'Class2'" in found["class-names"]["message"]


def test_imbalance(tmp_path):
    root = write_folder(tmp_path / "pics", photos(2, 30), 2)
    for path in sorted((root / "class1").iterdir())[3:]:
        path.unlink()
    assert "'class0' has 30 images, 'class1' 3" in check(root, status=0)["imbalance"]["message"]


# Copies and leaks


def test_exact_copies_with_another_label(data):
    shutil.copy(data / "class0" / "00.png", data / "class2" / "again.png")
    found = check(data, status=1)
    assert found["copies"]["items"] == ["class0/00.png = class2/again.png"]
    assert "class0/00.png (class0) = class2/again.png (class2)" in found["label-conflict"]["message"]
    # One part holds both, so that nothing leaks.
    assert "copy-leak" not in found


def test_copies_across_official_parts(tmp_path):
    images = photos()
    root = write_folder(tmp_path / "pics" / "train", images)
    write_folder(tmp_path / "pics" / "test", photos(3, 4, seed=1))
    Image.open(root / "class1" / "03.png").save(tmp_path / "pics" / "test" / "class1" / "other.bmp")
    found = check(tmp_path / "pics", status=1)
    # The same pixels in another format.
    assert found["copy-leak"]["items"] == ["train/class1/03.png = test/class1/other.bmp"]


def test_groups_across_official_parts(table):
    found = check(*table({"group": lambda i: f"s{i // 2}", "part": lambda i: ["train", "test"][i % 2]}), status=1)
    assert "18 groups of 18" in found["group-leak"]["message"] and len(found["group-leak"]["items"]) == 18


@pytest.mark.parametrize("how", ["turned", "mirrored", "paler", "smaller", "recompressed"])
def test_near_copies(tmp_path, how):
    root = write_folder(tmp_path / "pics", photos(side=96))
    image = Image.open(root / "class0" / "00.png")
    changed = {
        "turned": lambda: image.rotate(90),
        "mirrored": lambda: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "paler": lambda: image.point(lambda value: value // 2 + 90),
        "smaller": lambda: image.resize((70, 70)),
        "recompressed": lambda: image,
    }[how]()
    changed.save(root / "class1" / "x.jpg", quality=60)
    found = check(root, status=0)
    assert found["near-copies"]["items"] == ["class0/00.png = class1/x.jpg"]
    assert found["near-copies"]["severity"] == "warning" and "1 across classes" in found["near-copies"]["message"]


def test_groups_are_written_for_a_card_to_read(tmp_path):
    root = write_folder(tmp_path / "pics", photos(side=96))
    Image.open(root / "class0" / "00.png").save(root / "class0" / "x.jpg")
    assert run_cli("check", root, "--groups", root / "groups.csv").status == 0
    card = tmp_path / "grouped.toml"
    card.write_text(
        'name = "grouped"\ntitle = "Grouped"\nclasses = ["class0", "class1", "class2"]\n[format]\nname = "table"\n'
        'file = "groups.csv"\npath = "id"\nlabel = "label"\ngroup = "group"\n'
    )
    rows = (root / "groups.csv").read_text().splitlines()
    assert "class0/00.png,class0,class0/00.png" in rows and "class0/x.jpg,class0,class0/00.png" in rows
    found = check(card, "--root", root, status=0)
    assert "across" not in found["near-copies"]["message"].replace("none across", "")


# Shortcuts


def test_size_that_tells_the_class(tmp_path):
    root = write_folder(tmp_path / "pics", photos(2, 20), 2)
    write_folder(tmp_path / "more", photos(2, 20, side=24, seed=1), 2)
    for path in (tmp_path / "more" / "class1").iterdir():
        path.rename(root / "class1" / f"big{path.name}")
    found = check(root, status=0)
    assert "20 x 20 (40 images), 24 x 24 (20 images)" in found["sizes"]["message"]
    assert "The image size tells the class" in found["shortcut-image-size-class"]["message"]
    recipe = write_recipe(tmp_path / "r.toml", str(root), "[preprocess]\nsize = [20, 20]\n")
    assert check(root, "--recipe", recipe, status=0)["sizes"]["severity"] == "note"


def test_size_that_tells_nothing(tmp_path):
    """Two sizes in both classes alike are worth a warning for themselves, but are no shortcut."""
    root = write_folder(tmp_path / "pics", photos(2, 20), 2)
    write_folder(tmp_path / "more", photos(2, 20, side=24, seed=1), 2)
    for path in (tmp_path / "more").rglob("*.png"):
        path.rename(root / path.parent.name / f"big{path.name}")
    found = check(root, status=0)
    assert set(found) == {"sizes"} and "do not tell the class (Cramér's V 0.00, p = 1)" in found["sizes"]["message"]


def test_format_and_border_that_tell_the_class(tmp_path):
    images = photos(2, 20)
    images[20:, :3] = 255
    root = write_folder(tmp_path / "pics", images, 2)
    for path in (root / "class0").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    found = check(root, status=0)
    assert "shortcut-file-format-class" in found
    assert "shortcut-thickness-of-a-border-of-one-colour-class" in found


# What a fit checks


def test_a_leaking_split_is_refused_unless_told(tmp_path):
    root = write_folder(tmp_path / "pics" / "train", photos())
    write_folder(tmp_path / "pics" / "test", photos(3, 4, seed=1))
    shutil.copy(root / "class1" / "03.png", tmp_path / "pics" / "test" / "class1" / "x.png")
    recipe = write_recipe(tmp_path / "r.toml", str(tmp_path / "pics"))
    said = refused("fit", recipe, "--run", tmp_path / "run", "--workers", 1, "--device", "cpu")
    assert "train/class1/03.png = test/class1/x.png" in said and "--allow-leaks" in said
    assert not (tmp_path / "run").exists()
    told = run_cli("fit", recipe, "--run", tmp_path / "run", "--workers", 1, "--device", "cpu", "--allow-leaks")
    assert told.status == 0 and "train/class1/03.png = test/class1/x.png" in told.err
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["allow_leaks"] is True


def test_copies_stay_in_one_part(tmp_path, data):
    for number in range(4):
        shutil.copy(data / "class0" / f"0{number}.png", data / "class0" / f"copy{number}.png")
    recipe = write_recipe(tmp_path / "r.toml", str(data))
    done = run_cli("fit", recipe, "--run", tmp_path / "run", "--workers", 1, "--device", "cpu")
    assert done.status == 0 and "4 images have exact copies" in done.err
    rows = [line.split(",") for line in (tmp_path / "run" / "split.csv").read_text().splitlines()]
    part = {row[0]: row[1] for row in rows}
    for number in range(4):
        assert part[f"class0/0{number}.png"] == part[f"class0/copy{number}.png"]
    assert len(rows[0]) == 3  # what the data says of groups is kept as it is
