"""The shelf: what is found by name, path or folder, whose comes first, and whose code is never run."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from bioclass.card import ImageFolder
from bioclass.errors import BioclassError, CardError, DatasetError, InputError, RecipeError
from bioclass.samples import Samples
from bioclass.shelf import Shelf, card_of_folder, shipped_folder

ADAPTER = """
import numpy as np
from bioclass.samples import Samples

def load(card, root):
    return Samples(np.zeros((2, 3, 3), dtype=np.uint8), [0, 1], ids=["{mark}", "b"])
"""
BOOBY_TRAP = "raise SystemExit('code ran that must not run')\n"


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No folders of the person who runs the tests; the working directory is an empty one."""
    monkeypatch.delenv("BIOCLASS_PATH", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def card(folder, name, title="Mine", more=""):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\ntitle = "{title}"\nclasses = ["a", "b"]\n{more}')
    return path


def adapter(folder, name, mark="x", text=ADAPTER):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(text.replace("{mark}", mark))
    return path


def recipe(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text('dataset = "digits"\n[fit]\nepochs = 1\n')
    return path


def mark(shelf, name):
    """Which adapter a card gets."""
    return shelf.adapter(shelf.card(name))(shelf.card(name), Path()).ids[0]


def one_sentence(caught):
    assert isinstance(caught.value, BioclassError)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


# Cards


def test_shipped():
    shelf = Shelf.of()
    assert {"digits", "mnist"} <= set(shelf.cards())
    assert "digits-lenet" in shelf.recipes()
    assert shelf.card("digits").title.startswith("Optical recognition")
    assert shelf.adapter(shelf.card("digits")).__module__ == "bioclass_adapter_digits"
    assert not set(shelf.cards()) & set(shelf.recipes())


@pytest.mark.parametrize("inside", ["", "datasets"])
def test_a_named_folder_comes_first(tmp_path, inside):
    card(tmp_path / "mine" / inside, "digits")
    card(tmp_path / "mine" / inside, "pets")
    shelf = Shelf.of([tmp_path / "mine"])
    assert shelf.card("digits").title == "Mine"
    assert shelf.card("pets").title == "Mine"
    assert shelf.card("mnist").title != "Mine"


def test_the_first_named_folder_wins(tmp_path):
    for number in ("1", "2"):
        card(tmp_path / number, "pets", title=number)
    assert Shelf.of([tmp_path / "1", tmp_path / "2"]).card("pets").title == "1"
    assert Shelf.of([tmp_path / "2", tmp_path / "1"]).card("pets").title == "2"


def test_bioclass_path(tmp_path, monkeypatch):
    card(tmp_path / "1", "pets", title="environment")
    monkeypatch.setenv("BIOCLASS_PATH", os.pathsep.join(["", str(tmp_path / "1"), ""]))
    assert Shelf.of().folders == (tmp_path / "1",)
    assert Shelf.of().card("pets").title == "environment"
    card(tmp_path / "2", "pets", title="option")
    assert Shelf.of([tmp_path / "2"]).card("pets").title == "option"


def test_a_named_folder_must_be_one(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="none is not a folder: --path and BIOCLASS_PATH"):
        Shelf.of([tmp_path / "none"])
    monkeypatch.setenv("BIOCLASS_PATH", str(card(tmp_path, "pets")))
    with pytest.raises(InputError, match=r"pets\.toml is not a folder"):
        Shelf.of()


def test_other_toml_files_are_no_cards(tmp_path):
    recipe(tmp_path, "study")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    shelf = Shelf.of([tmp_path])
    assert "study" in shelf.recipes()
    assert not {"study", "pyproject"} & set(shelf.cards())
    assert "pyproject" not in shelf.recipes()


def test_a_broken_card_reports_itself(tmp_path):
    (tmp_path / "pets.toml").write_text("name = \n")
    with pytest.raises(CardError, match=r"pets\.toml is not valid TOML"):
        Shelf.of([tmp_path]).card("pets")


def test_card_by_path(tmp_path, monkeypatch):
    path = card(tmp_path / "else", "pets")
    assert Shelf.of().card(str(path)).name == "pets"
    monkeypatch.chdir(tmp_path)
    assert Shelf.of().card("else/pets.toml").name == "pets"
    assert Shelf.of().card("pets.toml", beside=tmp_path / "else").name == "pets"


def test_beside_the_recipe_comes_before_here(tmp_path):
    card(tmp_path / "else", "pets", title="beside")
    card(Path(), "pets", title="here")
    assert Shelf.of().card("pets.toml", beside=tmp_path / "else").title == "beside"


def test_a_name_is_never_taken_from_here():
    card(Path(), "digits", title="planted")
    Path("digits").mkdir()
    assert Shelf.of().card("digits").title != "planted"
    card(Path(), "pets")
    with pytest.raises(DatasetError, match="There is no dataset 'pets'"):
        Shelf.of().card("pets")


@pytest.mark.parametrize("reference", ["digts", "", "none.toml", "no/such/folder"])
def test_unknown_dataset(reference):
    with pytest.raises(DatasetError, match="There is no dataset") as caught:
        Shelf.of().card(reference)
    one_sentence(caught)
    assert "Known: " in str(caught.value) and "--path" in str(caught.value)
    assert ("did you mean 'digits'?" in str(caught.value)) == (reference == "digts")


# Recipes


def test_recipe_by_name_and_path(tmp_path, monkeypatch):
    path = recipe(tmp_path / "mine", "study")
    assert Shelf.of([tmp_path / "mine"]).recipe("study") == path
    assert Shelf.of().recipe(str(path)) == path
    inside = recipe(tmp_path / "mine" / "recipes", "digits-lenet")
    assert Shelf.of([tmp_path / "mine"]).recipe("digits-lenet") == inside
    assert Shelf.of().recipe("digits-lenet") == shipped_folder("recipes") / "digits-lenet.toml"


def test_unknown_recipe():
    with pytest.raises(RecipeError, match="no recipe 'digits-lente'; did you mean 'digits-lenet'"):
        Shelf.of().recipe("digits-lente")
    with pytest.raises(RecipeError, match=r"There is no recipe file none\.toml"):
        Shelf.of().recipe("none.toml")


# Adapters: whose code is run


@pytest.mark.parametrize("inside", ["", "datasets"])
def test_adapter_in_a_named_folder(tmp_path, inside):
    card(tmp_path / "mine" / inside, "pets")
    adapter(tmp_path / "mine" / inside, "pets", "mine")
    assert mark(Shelf.of([tmp_path / "mine"]), "pets") == "mine"


def test_the_users_adapter_wins_over_the_shipped(tmp_path):
    adapter(tmp_path, "digits", "mine")
    assert mark(Shelf.of([tmp_path]), "digits") == "mine"


def test_card_and_adapter_come_from_the_same_folder(tmp_path):
    for name, inside in (("1", "datasets"), ("2", "")):
        card(tmp_path / name / inside, "pets", title=name)
        adapter(tmp_path / name / inside, "pets", name)
    for order in (["1", "2"], ["2", "1"]):
        shelf = Shelf.of([tmp_path / name for name in order])
        assert shelf.card("pets").title == mark(shelf, "pets") == order[0]


def test_a_card_that_names_its_adapter(tmp_path):
    card(tmp_path, "pets", more='adapter = "shared"\n')
    adapter(tmp_path, "shared", "shared")
    adapter(tmp_path, "pets", text=BOOBY_TRAP)
    assert mark(Shelf.of([tmp_path]), "pets") == "shared"


def test_a_format_runs_no_code(tmp_path):
    card(tmp_path, "pets", more='format = { name = "folder" }\n')
    adapter(tmp_path, "pets", text=BOOBY_TRAP)
    shelf = Shelf.of([tmp_path])
    assert shelf.adapter(shelf.card("pets")).__module__ == "bioclass.formats"


def test_code_beside_a_card_given_by_its_path_is_not_run(tmp_path):
    path = card(tmp_path / "stranger", "pets")
    adapter(tmp_path / "stranger", "pets", text=BOOBY_TRAP)
    shelf = Shelf.of()
    with pytest.raises(DatasetError, match="No adapter 'pets' for the dataset 'pets'") as caught:
        shelf.adapter(shelf.card(str(path)))
    one_sentence(caught)
    assert "--path" in str(caught.value)


def test_naming_the_folder_runs_its_code(tmp_path):
    path = card(tmp_path / "stranger", "pets")
    adapter(tmp_path / "stranger", "pets", "trusted")
    shelf = Shelf.of([tmp_path / "stranger"])
    assert shelf.adapter(shelf.card(str(path)))(None, None).ids[0] == "trusted"


@pytest.mark.parametrize("inside", ["", "datasets"])
def test_code_in_the_working_directory_is_not_run(inside):
    for name in ("pets", "digits"):
        path = card(Path(inside), name)
        adapter(Path(inside), name, text=BOOBY_TRAP)
    shelf = Shelf.of()
    assert shelf.adapter(shelf.card("digits")).__code__.co_filename == str(shipped_folder("datasets") / "digits.py")
    with pytest.raises(DatasetError, match="No adapter"):
        shelf.adapter(shelf.card(str(path.with_name("pets.toml"))))


def test_listing_runs_no_code(tmp_path):
    card(tmp_path, "pets")
    adapter(tmp_path, "pets", text=BOOBY_TRAP)
    assert "pets" in Shelf.of([tmp_path]).cards()


def test_an_adapter_may_hold_dataclasses(tmp_path):
    card(tmp_path, "pets")
    text = (
        "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass Row:\n    x: int\n"
    )
    adapter(tmp_path, "pets", "rows", text + ADAPTER)
    assert mark(Shelf.of([tmp_path]), "pets") == "rows"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise RuntimeError('boom')\n", "fails when it is imported: RuntimeError('boom')"),
        ("import no_such_module_anywhere\n", "No module named"),
        ("def load(card, root\n", "fails when it is imported: SyntaxError"),
        ("def read(card, root): ...\n", "has no function load(card, root)"),
        ("load = 3\n", "has no function load(card, root)"),
    ],
)
def test_broken_adapters(tmp_path, text, words):
    card(tmp_path, "pets")
    path = adapter(tmp_path, "pets", text=text)
    shelf = Shelf.of([tmp_path])
    with pytest.raises(DatasetError) as caught:
        shelf.adapter(shelf.card("pets"))
    one_sentence(caught)
    assert words in str(caught.value) and str(path) in str(caught.value)
    if "fails" in words:
        assert "bioclass_adapter_pets" not in sys.modules


# Installed packages


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lay a package out as pip would, on a path of its own."""
    site = tmp_path / "site"

    def _install(value, files, name="ponds"):
        for file, text in files.items():
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).write_text(text)
        info = site / f"bioclass_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bioclass-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[bioclass.adapters]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(str(site))

    before = set(sys.modules)
    yield _install
    for module in set(sys.modules) - before:
        if module.split(".")[0].startswith("bioclass_ponds"):
            del sys.modules[module]


CARD = 'name = "ponds"\ntitle = "Ponds"\nclasses = ["a", "b"]\n'


@pytest.mark.parametrize(
    ("value", "module", "beside"),
    [
        ("bioclass_ponds", "bioclass_ponds.py", "ponds.toml"),
        ("bioclass_ponds:load", "bioclass_ponds.py", "ponds.toml"),
        ("bioclass_ponds:load", "bioclass_ponds/__init__.py", "bioclass_ponds/ponds.toml"),
        ("bioclass_ponds.inner:load", "bioclass_ponds/inner.py", "bioclass_ponds/ponds.toml"),
        ("bioclass_ponds.inner", "bioclass_ponds/inner/__init__.py", "bioclass_ponds/inner/ponds.toml"),
    ],
)
def test_installed_adapter_and_card(install, value, module, beside):
    install(value, {module: ADAPTER.replace("{mark}", "installed"), beside: CARD})
    shelf = Shelf.of()
    assert shelf.cards()["ponds"].name == "ponds.toml"
    assert "bioclass_ponds" not in sys.modules  # found without running it
    assert shelf.card("ponds").title == "Ponds"
    assert mark(shelf, "ponds") == "installed"


def test_listing_does_not_run_the_package_above_the_module(install):
    trap = {"bioclass_ponds/__init__.py": BOOBY_TRAP, "bioclass_ponds/ponds.toml": CARD}
    install("bioclass_ponds.inner:load", {**trap, "bioclass_ponds/inner.py": ADAPTER})
    assert "ponds" in Shelf.of().cards()


def test_a_named_folder_wins_over_an_installed_package(install, tmp_path):
    install("bioclass_ponds", {"bioclass_ponds.py": ADAPTER.replace("{mark}", "installed"), "ponds.toml": CARD})
    card(tmp_path / "mine", "ponds")
    adapter(tmp_path / "mine", "ponds", "mine")
    shelf = Shelf.of([tmp_path / "mine"])
    assert shelf.card("ponds").title == "Mine"
    assert mark(shelf, "ponds") == "mine"


@pytest.mark.parametrize(
    ("value", "files"),
    [
        ("bioclass_ponds", {"bioclass_ponds.py": "raise RuntimeError('boom')\n"}),
        ("bioclass_ponds", {"bioclass_ponds.py": "def load(\n"}),
        ("bioclass_ponds", {"bioclass_ponds.py": "x = 1\n"}),
        ("bioclass_ponds:x", {"bioclass_ponds.py": "x = 1\n"}),
        ("bioclass_ponds:missing", {"bioclass_ponds.py": "x = 1\n"}),
        ("bioclass_ponds_gone:load", {"other.py": "x = 1\n"}),
    ],
)
def test_broken_installed_adapters(install, tmp_path, value, files):
    install(value, files)
    path = card(tmp_path, "ponds")
    shelf = Shelf.of()
    assert "digits" in shelf.cards()
    with pytest.raises(DatasetError) as caught:
        shelf.adapter(shelf.card(str(path)))
    one_sentence(caught)
    assert value in str(caught.value)


# A folder of class folders


def classes(root, *names):
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
    return root


def test_card_of_folder(tmp_path):
    root = classes(tmp_path / "My pets", "dog", "cat", ".git", "__MACOSX")
    (root / "notes.txt").touch()
    made = card_of_folder(root)
    assert made.class_names == ("cat", "dog")
    assert made.format == ImageFolder()
    assert made.name == "My-pets"
    assert Shelf.of().card(str(root)) == made
    assert Shelf.of().card("My pets", beside=tmp_path) == made


def test_card_of_folder_with_parts(tmp_path):
    root = classes(tmp_path / "pets", "train/dog", "train/cat", "test/dog", "test/cat", "train/.cache")
    assert card_of_folder(root).format == ImageFolder(parts=True)
    assert card_of_folder(root).class_names == ("cat", "dog")


def test_train_alone_may_be_a_class(tmp_path):
    assert card_of_folder(classes(tmp_path / "traffic", "bus", "train")).class_names == ("bus", "train")


@pytest.mark.parametrize("name", ["données", "データ", "...", "a+b (1)", "-x-", "_"])
def test_any_name_of_a_folder_makes_a_card(tmp_path, name):
    made = card_of_folder(classes(tmp_path / name, "a", "b"))
    assert made.title.endswith(name)


@pytest.mark.parametrize("names", [(), ("only",), ("train/a", "test/a")])
def test_too_few_class_folders(tmp_path, names):
    with pytest.raises(DatasetError, match=r"holds \d class folder.*at least two classes") as caught:
        card_of_folder(classes(tmp_path / "pets", "", *names))
    one_sentence(caught)


def test_samples_of_an_adapter_are_those_of_bioclass():
    """What the test adapters return is what the documentation promises."""
    assert isinstance(Samples(np.zeros((1, 2, 2)), [0]), Samples)
