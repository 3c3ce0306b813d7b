"""Dataset cards: the facts that a user writes down, and how each mistake is answered."""

import pytest

from bioclass.card import Card, Class, Idx, ImageFolder, Npz, Table, load_card, parse_card
from bioclass.errors import CardError
from bioclass.shelf import shipped_folder

BASE = 'name = "pets"\ntitle = "Pets"\nclasses = ["cat", "dog"]\n'
SHIPPED = sorted(shipped_folder("datasets").glob("*.toml"))
DIGEST = "0" * 64


@pytest.fixture
def load(tmp_path):
    def _load(text):
        path = tmp_path / "pets.toml"
        path.write_text(text, encoding="utf-8")
        return load_card(path)

    return _load


@pytest.fixture
def mistakes(load):
    def _mistakes(text):
        with pytest.raises(CardError) as caught:
            load(text)
        head, *lines = str(caught.value).splitlines()
        assert head == f"Card pets.toml has {len(lines)} mistake{'s' if len(lines) > 1 else ''}:"
        return [line.removeprefix("  - ") for line in lines]

    return _mistakes


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_cards(path):
    card = load_card(path)
    assert card.name == path.stem
    assert card.title and card.summary and card.notes
    # What is not known for sure is left out, and a note says so.
    said = " ".join(card.notes)
    own = path.stem == "fingers"  # a pattern for a user's own images
    assert own or (card.citation and card.homepage.startswith("http"))
    assert own or card.licence or "licence" in said
    assert own or card.counts or "does not count" in said
    assert card.format is not None or path.with_name(f"{card.adapter or card.name}.py").is_file()
    assert bool(card.mirrors) == bool(card.files)


def test_classes_by_name_or_with_a_title(load):
    card = load('name = "a"\ntitle = "A"\nclasses = ["cat", { name = "dog", title = "Dog" }]\n')
    assert card.classes == (Class(name="cat"), Class(name="dog", title="Dog"))
    assert card.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ name = 'folder' }", ImageFolder()),
        ("{ name = 'folder', parts = true }", ImageFolder(parts=True)),
        (
            "{ name = 'folder', folders = { cat = ['c', 'k'] }, ignore = '.*-d', match = '(?P<id>.*)' }",
            ImageFolder(folders={"cat": ("c", "k")}, ignore=".*-d", match="(?P<id>.*)"),
        ),
        ("{ name = 'table', file = 'a.tsv', group = 'slide' }", Table(file="a.tsv", group="slide")),
        ("{ name = 'npz', images = '{part}_images' }", Npz(images="{part}_images")),
        (
            "{ name = 'idx', images = { train = 'a' }, labels = { train = 'b' } }",
            Idx(images={"train": "a"}, labels={"train": "b"}),
        ),
        (
            "{ name = 'idx', images = { test = 'a' }, labels = { test = 'b' }, transpose = true, first_label = 1 }",
            Idx(images={"test": "a"}, labels={"test": "b"}, transpose=True, first_label=1),
        ),
    ],
)
def test_formats(load, text, expected):
    card = load(f"{BASE}format = {text}\n")
    assert card.format == expected
    assert load(card.to_toml()) == card


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_toml_round_trip(path, load):
    card = load_card(path)
    assert load(card.to_toml()) == card


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BASE + "licens = 'x'\n", "unknown key 'licens'; did you mean 'licence'?"),
        (BASE + "format = { name = 'foldr' }\n", "Got 'foldr'; did you mean 'folder'?"),
        (BASE + "format = { file = 'x' }\n", "format.name is missing; it must be one of folder, table, npz, idx"),
        (
            BASE + "format = 'folder'\n",
            "format must be a table. Got 'folder'; did you mean format.name = 'folder'?",
        ),
        (BASE + "format = { name = 'table', lable = 'x' }\n", "unknown key 'format.lable'; did you mean 'label'?"),
        (BASE + "format = { name = 'npz', parts = { a = 'tran' } }\n", "format.parts.a must be 'train',"),
        (BASE + "counts = { al = 3 }\n", "the key 'counts.al' must be 'all', 'train', 'validation' or 'test'"),
        (BASE + "counts = { all = '3' }\n", "counts.all must be an integer. Got '3'"),
        (BASE + "counts = { all = -3 }\n", "counts.all must be greater than or equal to 0. Got -3"),
        (BASE + "pixel_size = { value = 0.2 }\n", "'pixel_size.unit' is missing"),
        (BASE + "pixel_size = { value = 0, unit = 'm' }\n", "pixel_size.value must be greater than 0. Got 0"),
        (BASE + "bit_depth = 65\n", "bit_depth must be less than or equal to 64. Got 65"),
        (BASE + "size = [1, 2, 3]\n", "size must have 2 values. Got [1, 2, 3]"),
        (BASE + "mirrors = 'http://x'\n", "mirrors must be an array. Got 'http://x'"),
        (BASE + f"files = [{{ name = 'a', sha256 = '{DIGEST[1:]}' }}]\n", "files[0].sha256 must match pattern"),
        (BASE + f"files = [{{ name = '../a', sha256 = '{DIGEST}' }}]\n", "files[0].name: a file is named from the"),
        (BASE + "format = { name = 'folder', match = '(' }\n", "format.match: '(' is not a regular expression"),
        (BASE + "format = { name = 'folder', folders = { cats = ['a'] } }\n", "'cats', which is no class; did you"),
        (BASE + "format = { name = 'folder', folders = { cat = ['dog'] } }\n", "'dog' belongs to two classes"),
        (BASE + "format = { name = 'folder', folders = { cat = ['../x'] } }\n", "not paths. Got '../x'"),
        (
            BASE + "format = { name = 'folder', folders = { cat = [] } }\n",
            "format.folders.cat must have at least",
        ),
        (BASE + "adapter = 'a'\nformat = { name = 'folder' }\n", "give a format or an adapter, not both"),
        (BASE + "adapter = '../evil'\n", "adapter must match pattern"),
        ('name = "a/b"\ntitle = "A"\nclasses = ["a", "b"]\n', "name must match pattern"),
        ('name = "a"\ntitle = "A"\nclasses = ["a"]\n', "classes must have at least 2 values."),
        ('name = "a"\ntitle = "A"\nclasses = ["a", ""]\n', "classes[1].name must have at least 1 character"),
        ('name = "a"\ntitle = "A"\nclasses = ["a", "b", "a"]\n', "classes must differ. Got twice: a"),
        ('name = "a"\ntitle = "A"\nclasses = "a"\n', "classes must be an array. Got 'a'"),
        ('name = "a"\ntitle = "A"\nclasses = ["a", "b", 3]\n', "classes[2] must be a table. Got 3"),
        ('name = "a"\ntitle = "A"\nclasses = ["a", { title = "B" }]\n', "'classes[1].name' is missing"),
        ('title = "A"\nclasses = ["a", "b"]\n', "'name' is missing"),
    ],
)
def test_mistakes(mistakes, text, sentence):
    (line,) = mistakes(text)
    assert sentence in line


def test_all_mistakes_at_once(mistakes):
    lines = mistakes("nam = 'x'\nclasses = [1, 2]\nchannels = 0\n[format]\nname = 'npz'\nimage = 'x'\n")
    keys = ["'name'", "'title'", "classes[0]", "classes[1]", "channels", "format.image", "'nam'"]
    assert len(lines) == len(keys)
    assert all(any(key in line for line in lines) for key in keys)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a\\\\..\\\\x", "", ".", "a\\u0000b"])
def test_a_file_outside_the_dataset_folder_is_refused(mistakes, name):
    (line,) = mistakes(BASE + f'files = [{{ name = "{name}", sha256 = "{DIGEST}" }}]\n')
    assert "lies in it" in line


def test_a_file_in_a_folder_of_the_dataset(load):
    assert (
        load(BASE + f'files = [{{ name = "raw/a..b.gz", sha256 = "{DIGEST}" }}]\n').files[0].name == "raw/a..b.gz"
    )


def test_the_source_is_named(tmp_path):
    with pytest.raises(CardError, match=r"^A card of mine has"):
        parse_card({}, "A card of mine")
    with pytest.raises(CardError, match="There is no file"):
        load_card(tmp_path / "none.toml")


def test_a_card_is_frozen(load):
    card = load(BASE)
    assert isinstance(card, Card)
    with pytest.raises(ValueError, match="frozen"):
        card.name = "other"
