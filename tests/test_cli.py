"""The command line: every verb, a user's own data in each, and one sentence for every mistake."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, inside, pictures, refused, run_cli, write_folder, write_png, write_recipe

from bioclass import __version__
from bioclass.cli.tables import Two, table

ADAPTER = """
import numpy as np
from bioclass.samples import Samples

def load(card, root):
    images = np.load(root / "cells.npy")
    return Samples(images=images, labels=np.arange(len(images)) // 12)
"""
CARD = """
name = "cells"
title = "Three kinds of cells"
classes = ["class0", "class1", "class2"]
size = [12, 12]
channels = 1
"""


def process(*command: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


# ---- help, lists and what needs no MXNet


def test_verbs_that_do_not_compute_never_import_mxnet(tiny: SimpleNamespace, tmp_path: Path) -> None:
    verbs = [
        ["--help"],
        ["fit", "--help"],
        ["evaluate", "--help"],
        ["predict", "--help"],
        ["export", "--help"],
        ["--version"],
    ]
    verbs += [["datasets", "list"], ["datasets", "show", "digits"], ["recipes", "list"], ["recipes", "schema"]]
    verbs += [["recipes", "show", "digits-lenet", "--resolved"], ["runs", str(tiny.home)]]
    code = f"""
import sys
from bioclass.cli import main
for verb in {verbs!r}:
    sys.argv = ["bioclass", *verb]
    try:
        main()
    except SystemExit as end:
        assert not end.code, verb
    slow = {{"mxnet", "gluoncv", "cv2"}} & set(sys.modules)
    assert not slow, (verb, slow)
"""
    done = process("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_help_names_every_verb_and_option(tmp_path: Path) -> None:
    out = process("-m", "bioclass", "--help", cwd=tmp_path).stdout
    for verb in ("fit", "evaluate", "predict", "export", "runs", "network", "datasets", "recipes"):
        assert f" {verb} " in out
    assert "Usage: bioclass " in out
    options = {
        "fit": ("--root", "--run", "--seed", "--resume", "--set", "--device", "--workers", "--path", "--json"),
        "evaluate": (
            "--root",
            "--part",
            "--calibrate",
            "--error-rate",
            "--select",
            "--snapshots",
            "--out",
            "--json",
        ),
        "predict": ("--answers", "--decide", "--out", "--device", "--json"),
        "export": ("--to", "--output", "--int8", "--root", "--path", "--json", "SymbolBlock.imports"),
    }
    for verb, names in options.items():
        out = run_cli(verb, "-h", env={"COLUMNS": "120"}).out
        assert all(name in out for name in names)


def test_version() -> None:
    assert run_cli("--version").out == f"bioclass {__version__}\n"


def test_datasets_and_recipes_are_listed() -> None:
    assert "digits" in run_cli("datasets", "list").out
    listed = json.loads(run_cli("datasets", "list", "--json").out)
    assert {"digits", "mnist"} <= {item["name"] for item in listed}
    assert "mnist-lenet" in run_cli("recipes", "list").out
    assert {"name", "title", "dataset"} == set(json.loads(run_cli("recipes", "list", "--json").out)[0])


def test_a_broken_file_of_ones_own_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("classes = [\ndataset = ")
    for verb in ("datasets", "recipes"):
        result = run_cli(verb, "list", "--path", tmp_path)
        assert result.status == 0 and "digits" in result.out
        assert "broken.toml is not valid TOML" in result.err


def test_datasets_show() -> None:
    result = run_cli("datasets", "show", "digits")
    assert 'licence = "CC BY 4.0"' in result.out and "total  1797" in result.out
    document = json.loads(run_cli("datasets", "show", "digits", "--json").out)
    assert document["card"]["name"] == "digits" and document["counts"]["0"] == {"all": 178}


def test_a_card_is_shown_without_its_data(tmp_path: Path) -> None:
    result = run_cli("datasets", "show", "mnist", env={"BIOCLASS_DATA": str(tmp_path)})
    assert result.status == 0 and "[format]" in result.out
    assert "train-images-idx3-ubyte.gz" in result.err and str(tmp_path / "mnist") in result.err
    assert "lacks" in refused("datasets", "show", "mnist", "--root", tmp_path)


def test_datasets_get_of_what_has_no_download() -> None:
    assert "has no download" in refused("datasets", "get", "digits")
    assert "did you mean 'mnist'" in refused("datasets", "get", "mnits")


def test_recipes_show_copy_and_schema(tmp_path: Path) -> None:
    text = run_cli("recipes", "show", "digits-lenet").out
    assert text.startswith("# The demonstration")
    assert "momentum = 0.9" in run_cli("recipes", "show", "digits-lenet", "--resolved").out
    copied = run_cli("recipes", "copy", "digits-lenet", tmp_path / "mine.toml")
    assert copied.status == 0 and (tmp_path / "mine.toml").read_text() == text
    assert "exists" in refused("recipes", "copy", "digits-lenet", tmp_path / "mine.toml")
    assert "There is no folder" in refused("recipes", "copy", "digits-lenet", tmp_path / "no" / "mine.toml")
    assert run_cli("recipes", "show", tmp_path / "mine.toml").out == text
    assert "mine" in run_cli("recipes", "list", "--path", tmp_path).out
    schema = json.loads(run_cli("recipes", "schema").out)
    assert {"dataset", "network", "fit", "split", "preprocess", "seed"} <= set(schema["properties"])


def test_network_of_a_recipe_and_of_a_run(tiny: SimpleNamespace) -> None:
    # Table 1 of the study: 520 + 25,050 + 400,500 + 5,010 parameters.
    result = run_cli("network", "mnist-lenet")
    assert result.status == 0 and "431,080" in result.out and "28 x 28" in result.out
    assert json.loads(run_cli("network", "mnist-lenet", "--json").out)["parameters"] == 431_080
    assert json.loads(run_cli("network", tiny.run, "--json").out)["parameters"] == 144 * 8 + 8 + 8 * 3 + 3
    wider = run_cli("network", "mnist-lenet", "--set", "network.fc1=1000", "--input", "20,20,3", "--json")
    assert json.loads(wider.out)["layers"]
    assert "give it, for example --input" in refused("network", tiny.recipe)
    for wrong in ("28,28", "28,28,0", "a,b,c", "28,28,²"):
        assert "height,width,channels" in refused("network", "mnist-lenet", "--input", wrong)
    assert "leave --set out" in refused("network", tiny.run, "--set", "network.fc1=3")
    refused("network", "mnist-lenet", "--input", "4,4,1")


def test_runs(tiny: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(tiny.run, tmp_path / "one")
    shutil.copytree(tiny.runs[1], tmp_path / "two")
    shutil.copytree(tiny.runs[2], tmp_path / "damaged")
    (tmp_path / "damaged" / "split.csv").write_text("")
    (tmp_path / "notes").mkdir()
    shutil.rmtree(tmp_path / "one" / "evaluation", ignore_errors=True)
    figures = json.loads(run_cli("evaluate", tmp_path / "two", "--json").out)["models"][0]
    result = run_cli("runs", tmp_path, "--json")
    assert result.status == 0 and "damaged" in result.err
    one, two = json.loads(result.out)
    assert one["accuracy"] is None and one["state"] == "finished" and one["dataset"] == "pics"
    assert two["accuracy"] == figures["accuracy"] and two["seed"] == 1
    (tmp_path / "two/evaluation/test/metrics.json").write_text("{")
    assert "finished" in run_cli("runs", tmp_path).out
    assert "There is no folder runs" in refused("runs", cwd=tmp_path)


# ---- a user's own dataset in every verb


def every_verb(tmp_path: Path, dataset: str, root: Path | None, more: list[object], image: np.ndarray) -> None:
    """Show, fit, evaluate from another folder, print the network of the run, predict."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir(exist_ok=True)
    elsewhere.mkdir(exist_ok=True)
    rooted = ["--root", root] if root else []
    shown = run_cli("datasets", "show", dataset, *rooted, *more, cwd=here)
    assert shown.status == 0 and "total" in shown.out and "36" in shown.out, shown.err
    recipe = write_recipe(tmp_path / "own.toml", dataset)
    run = fit(recipe, tmp_path / "run", *rooted, *more, "--set", f"dataset={dataset}", cwd=here)
    result = run_cli("evaluate", run, "--json", *more, cwd=elsewhere)
    assert result.status == 0, result.err
    assert list(json.loads(result.out)["models"][0]["per_class"]) == ["class0", "class1", "class2"]
    assert run_cli("network", run, cwd=elsewhere).status == 0
    write_png(tmp_path / "new.png", image)
    predicted = run_cli("predict", run, tmp_path / "new.png", cwd=elsewhere)
    assert predicted.status == 0 and len(predicted.out.splitlines()) == 2
    again = run_cli("fit", recipe, "--run", run, "--resume", *more, "--set", f"dataset={dataset}", cwd=here)
    assert again.status == 0, again.err


def test_a_folder_of_class_folders_is_a_dataset(tmp_path: Path) -> None:
    images = pictures()
    write_folder(tmp_path / "here" / "my pics", images)
    every_verb(tmp_path, "my pics", None, [], images[0])


def test_a_folder_with_official_parts_is_a_dataset(tmp_path: Path) -> None:
    write_folder(tmp_path / "pics" / "train", pictures())
    write_folder(tmp_path / "pics" / "test", pictures(each=4) ^ 1)  # no copies of the training images
    run = fit("digits-lenet", tmp_path / "run", "--set", f"dataset={tmp_path / 'pics'}", "--set", "fit.epochs=1")
    assert json.loads(run_cli("evaluate", run, "--json").out)["models"][0]["n"] == 12


@pytest.mark.parametrize("kind", ["table", "npz", "folder"])
def test_a_card_with_a_built_in_format(tmp_path: Path, kind: str) -> None:
    images, data = pictures(), tmp_path / "data"
    write_folder(data, images)
    lines = {"table": 'file = "list.csv"', "npz": 'file = "cells.npz"', "folder": ""}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cells.toml").write_text(f'{CARD}[format]\nname = "{kind}"\n{lines[kind]}\n')
    rows = [f"class{i // 12}/{i % 12:02}.png,class{i // 12}" for i in range(36)]
    (data / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    np.savez(data / "cells.npz", images=images, labels=np.arange(36) // 12)
    assert "cells" in run_cli("datasets", "list", "--path", tmp_path / "mine").out
    every_verb(tmp_path, "cells", data, ["--path", tmp_path / "mine"], images[0])


@pytest.mark.parametrize("way", ["--path", "BIOCLASS_PATH"])
def test_a_card_with_an_adapter(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cells.toml").write_text(CARD)
    (tmp_path / "mine" / "cells.py").write_text(ADAPTER)
    (tmp_path / "data").mkdir()
    images = pictures()
    np.save(tmp_path / "data" / "cells.npy", images)
    more: list[object] = ["--path", tmp_path / "mine"]
    if way == "BIOCLASS_PATH":
        monkeypatch.setenv("BIOCLASS_PATH", str(tmp_path / "mine"))
        more = []
    every_verb(tmp_path, "cells", tmp_path / "data", more, images[0])
    monkeypatch.delenv("BIOCLASS_PATH", raising=False)
    # The adapter of a run is never run from where nobody named it.
    error = refused("evaluate", tmp_path / "run", cwd=tmp_path / "mine")
    assert "No adapter 'cells'" in error and "--path" in error


def test_a_pip_installed_adapter(tmp_path: Path) -> None:
    site, data = tmp_path / "site", tmp_path / "data"
    (site / "cellpack").mkdir(parents=True)
    (site / "cellpack" / "__init__.py").write_text(ADAPTER)
    (site / "cellpack" / "cells.toml").write_text(CARD)
    info = site / "cellpack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cellpack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bioclass.adapters]\ncells = cellpack:load\n")
    data.mkdir()
    np.save(data / "cells.npy", pictures())
    write_png(tmp_path / "new.png", pictures()[0])
    recipe = write_recipe(tmp_path / "own.toml", "cells")
    code = f"""
import sys
from bioclass.cli import main
for verb in (
    ["datasets", "list"],
    ["datasets", "show", "cells", "--root", {str(data)!r}],
    ["fit", {str(recipe)!r}, "--root", {str(data)!r}, "--run", "run", "--workers", "1"],
    ["network", "run"],
    ["evaluate", "run"],
    ["predict", "run", "new.png"],
):
    sys.argv = ["bioclass", *verb]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""
    done = process("-c", code, cwd=tmp_path, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    assert "Three kinds of cells" in done.stdout and "macro F1" in done.stdout and "new.png,class" in done.stdout


# ---- mistakes


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fit"], ["Missing argument", "See: bioclass fit --help"]),
        (["fit", "digits-lenet", "--workers", "0"], ["--workers", "at least 1", "Got 0"]),
        (["fit", "digits-lenet", "--workers", "two"], ["--workers", "integer", "See: bioclass fit --help"]),
        (["fit", "digits-lenet", "--sed", "1"], ["--sed", "--seed"]),
        (["fit", "digits-lenet", "again"], ["again"]),
        (["evaluate"], ["Missing argument"]),
        (["predict", "run"], ["Missing argument", "PATH"]),
        (["train"], ["'train'", "See: bioclass --help"]),
        (["datasets", "lits"], ["lits"]),
        (["fit", "digit-lenet"], ["no recipe 'digit-lenet'", "did you mean 'digits-lenet'"]),
        (["fit", "missing.toml"], ["There is no recipe file missing.toml"]),
        (["fit", "digits-lenet", "--set", "dataset=mnits"], ["no dataset 'mnits'", "did you mean 'mnist'"]),
        (["fit", "digits-lenet", "--set", "fit.epoch=3"], ["fit.epoch", "did you mean", "epochs"]),
        (["fit", "digits-lenet", "--set", "fit.epochs"], ["--set wants key=value"]),
        (["fit", "digits-lenet", "--set", "fit.epochs=many"], ["fit.epochs", "'many'"]),
        (["fit", "digits-lenet", "--seed", "-1"], ["seed", "-1"]),
        (["fit", "digits-lenet", "--device", "gpuu"], ["'gpuu'", "did you mean"]),
        (["fit", "digits-lenet", "--device", "cpu", "--workers", "999"], ["999", "lower --workers"]),
        (["fit", "digits-lenet", "--root", "nowhere"], ["nowhere", "is not a folder"]),
        (["fit", "digits-lenet", "--path", "nowhere"], ["nowhere", "is not a folder"]),
        (["fit", "digits-lenet", "--set", "preprocess.size=[4, 4]"], ["4"]),
        (["fit", "digits-lenet", "--set", "preprocess.size=[28]"], ["preprocess.size"]),
        (["fit", "digits-lenet", "--set", "split.test=0.9999"], ["split.test"]),
        (["evaluate", "nowhere"], ["There is no run folder nowhere"]),
        (["predict", "nowhere", "x.png"], ["There is no run folder nowhere"]),
        (["network", "nowhere"], ["no recipe 'nowhere'"]),
        (["datasets", "show", "nowhere"], ["no dataset 'nowhere'"]),
        (["recipes", "show", "nowhere"], ["no recipe 'nowhere'"]),
        (["recipes", "list", "--path", "nowhere"], ["nowhere", "is not a folder"]),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], says: list[str], tmp_path: Path) -> None:
    error = refused(*words, cwd=tmp_path)
    assert all(part in error for part in says), error
    assert list(tmp_path.iterdir()) == []


def test_class_weights_for_classes_that_are_not_there(tmp_path: Path) -> None:
    error = refused("fit", "digits-lenet", "--set", 'fit.class_weights={"11"=2.0}', cwd=tmp_path)
    assert "unknown: 11" in error


def test_no_verb_at_all_shows_the_help(tmp_path: Path) -> None:
    for words in ([], ["datasets"]):
        result = run_cli(*words, cwd=tmp_path)
        assert "Usage: bioclass" in result.out + result.err and "Traceback" not in result.err


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    changes = ["fit.epochs=0", "fit.batchsize=3", "network.fc1='big'", "split.test=2"]
    error = refused(
        "fit", "digits-lenet", *(word for change in changes for word in ("--set", change)), cwd=tmp_path
    )
    assert "has 4 mistakes" in error
    for word in ("fit.epochs", "fit.batchsize", "batch_size", "network.fc1", "split.test"):
        assert word in error


def test_data_that_is_not_there_says_which_files_to_put_where(tmp_path: Path) -> None:
    error = refused("fit", "mnist-mlp", cwd=tmp_path, env={"BIOCLASS_DATA": str(tmp_path / "data")})
    for part in (
        "train-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        str(tmp_path / "data/mnist"),
        "--root",
        "datasets get",
    ):
        assert part in error
    assert list(tmp_path.iterdir()) == []


def test_images_that_cannot_be_trained_on(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", pictures())
    recipe = write_recipe(tmp_path / "recipe.toml", "data")
    run = tmp_path / "run"

    lone = shutil.copytree(data, tmp_path / "lone")
    for file in sorted((lone / "class1").iterdir())[1:]:
        file.unlink()
    error = refused("fit", recipe, "--set", f"dataset={lone}", "--run", run)
    assert "'class1' has one image" in error

    sizes = shutil.copytree(data, tmp_path / "sizes")
    for value, file in enumerate(sorted((sizes / "class2").iterdir())):
        write_png(file, np.full((12, 13), value, np.uint8))
    error = refused("fit", recipe, "--set", f"dataset={sizes}", "--run", run)
    assert "12 x 13" in error and "preprocess.size" in error

    small = write_folder(tmp_path / "small", pictures(shape=(6, 6)))
    error = refused("fit", recipe, "--set", f"dataset={small}", "--set", "network.name=lenet", "--run", run)
    assert "6" in error and "preprocess.size" in error

    (data / "class0" / "05.png").write_bytes(b"not an image")
    error = refused("fit", recipe, "--set", f"dataset={data}", "--run", run)
    assert "1 of 29 images cannot be used" in error and "05.png" in error

    (tmp_path / "flat").mkdir()
    assert "0 class folder(s)" in refused("fit", recipe, "--set", f"dataset={tmp_path / 'flat'}", "--run", run)
    assert not run.exists()


def test_resuming_with_a_changed_recipe_names_the_keys(tiny: SimpleNamespace) -> None:
    changed = ["--set", "fit.optimizer.lr=0.5", "--set", "fit.epochs=9"]
    error = refused("fit", tiny.recipe, "--run", tiny.run, "--resume", *changed)
    assert "fit.optimizer.lr: 0.01 in the run, 0.5 now" in error and "fit.epochs: 3 in the run, 9 now" in error
    assert error.count("\n  - ") == 2
    error = refused("fit", tiny.recipe, "--run", tiny.run, "--resume", "--workers", 2)
    assert "--workers 1" in error


def test_a_fit_prints_json_alone(tiny: SimpleNamespace, tmp_path: Path) -> None:
    result = run_cli("fit", tiny.recipe, "--run", tmp_path / "run", "--workers", 1, "--json")
    document = json.loads(result.out)
    assert document["run"] == str(tmp_path / "run") and document["epochs"] == 3 and document["finished"]
    lines = [line for line in result.err.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 3 and all("% right" in line and len(line) <= 80 for line in lines)


def test_the_run_folder_is_named_after_recipe_and_seed(tiny: SimpleNamespace, tmp_path: Path) -> None:
    for seed, name in ((0, "tiny"), (4, "tiny-seed4")):
        assert run_cli("fit", tiny.recipe, "--seed", seed, "--workers", 1, cwd=tmp_path).status == 0
        assert (tmp_path / "runs" / name / "manifest.json").is_file()


def test_a_mistake_ends_a_real_process_with_status_2(tmp_path: Path) -> None:
    done = process("-m", "bioclass", "evaluate", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bioclass: There is no run folder nowhere.\n"


# ---- how it looks


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a thing of Unix")
def test_nothing_is_wider_than_a_terminal_of_80_columns(tiny: SimpleNamespace) -> None:
    wide = tiny.home / "a-long-name-for-a-folder-of-runs-that-people-do-choose" / "experiment-2026-11-23-seed-0"
    shutil.copytree(tiny.run, wide)
    more = ["--calibrate", "--error-rate", "0.01", "--select", "weights"]
    verbs = [["evaluate", str(wide), str(tiny.runs[1]), *more], ["evaluate", str(wide), *more[:3]]]
    verbs += [["recipes", "list"], ["datasets", "list"], ["runs", "."]]
    verbs += [["network", "mnist-dropconnect"], ["network", "mnist-lenet"]]
    code = f"""
import sys
from bioclass.cli import main
for verb in {verbs!r}:
    sys.argv = ["bioclass", *verb]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""
    lines = _on_a_terminal([sys.executable, "-c", code], 80, tiny.home).splitlines()
    assert any(line.startswith("\x1b[1m") for line in lines)  # the heads of columns are bold
    lines = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in lines]
    paths = [line for line in lines if "/" in line and " " not in line.strip()]
    assert not [
        line
        for line in lines
        if len(line) > 80 and line not in paths and not line.startswith(("Files:", "Report:", "Eval"))
    ]
    for words in ("specificity", "MPS: maximum probability sum", "mnist-network3", "optical", "total"):
        assert any(words.lower() in line.lower() for line in lines), words


def _on_a_terminal(command: list[str], columns: int, cwd: Path) -> str:
    import fcntl
    import pty
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    env["TERM"] = "xterm"
    child = subprocess.Popen(command, stdout=follower, stderr=subprocess.PIPE, cwd=cwd, env=env)
    os.close(follower)
    out = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # Linux answers so when the other side is closed.
            break
        if not piece:
            break
        out += piece
    os.close(leader)
    assert child.stderr is not None
    with child.stderr:
        errors = child.stderr.read().decode()
    assert child.wait() == 0, errors
    return out.decode()


def test_in_a_pipe_every_row_is_one_line(tiny: SimpleNamespace) -> None:
    out = run_cli("evaluate", *tiny.runs).out
    with inside(tiny.home):
        rows = [line for line in out.splitlines() if line.startswith("class1")]
    assert len(rows) == 3
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def test_a_table_folds_only_where_it_must() -> None:
    rows = [["a name of some length", Two("97.30", "86.2-99.5", "{} ({})")], ["細胞", Two("-", "")]]
    columns = ["class", Two("recall", "%")]
    whole = table(columns, rows, ["left", "right"], None)
    assert whole.splitlines() == [
        "class                           recall %",
        "a name of some length  97.30 (86.2-99.5)",
        "細胞                                   -",
    ]
    assert table(columns, rows, ["left", "right"], 40) == whole
    assert table(columns, rows, ["left", "right"], 39).splitlines() == [
        "                          recall",
        "class                          %",
        "a name of some length      97.30",
        "                       86.2-99.5",
        "細胞                           -",
    ]
    assert table(columns, rows, ["left", "right"], 23).splitlines()[2:4] == [
        "a name of         97.30",
        "some length   86.2-99.5",
    ]


def test_a_table_for_which_nothing_is_narrow_enough_becomes_a_list() -> None:
    rows = [["a name of some length", Two("97.30", "86.2-99.5", "{} ({})"), ""], ["細胞", Two("-", ""), "3"]]
    assert table(["class", Two("recall", "%"), "images"], rows, ["left", "right", "right"], 28).splitlines() == [
        "class: a name of some length",
        "  recall %: 97.30",
        "(86.2-99.5)",
        "class: 細胞",
        "  recall %: -",
        "  images: 3",
    ]


def test_nothing_in_a_table_is_cut_off() -> None:
    """Neither a word that is longer than its column, nor a figure; and no sign in it means anything."""
    path = "runs/studies/henry-rotated-14,seed=3.[bold]:smile:"
    wanted = Counter(path + "1,234,567")
    for width in range(14, 70):
        text = table(["run", "images"], [[path, "1,234,567"]], ["left", "right"], width)
        assert max(map(len, text.splitlines())) <= width
        assert wanted <= Counter(text)


def test_class_names_are_never_taken_for_markup(tmp_path: Path) -> None:
    for name in ("[red]", "[/]", "a b"):
        write_folder(tmp_path / "data" / name, pictures(classes=1), classes=1)
    recipe = write_recipe(tmp_path / "recipe.toml", "data")
    run = fit(recipe, tmp_path / "run")
    out = run_cli("evaluate", run).out
    assert "[red]" in out
    assert "p_[red]" in run_cli("predict", run, tmp_path / "data").out
