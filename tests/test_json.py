"""``--json``: every verb has it, and prints one document and nothing else on stdout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer.main
from conftest import pictures, run_cli, write_png

from bioclass.cli import app

WITHOUT = {
    "recipes schema": "is JSON however it is called",
    "serve": "answers in JSON to requests, not on stdout",
}
"""The verbs without --json, and why."""


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb that does something, with its whole name."""
    if hasattr(command, "commands"):
        for word, below in command.commands.items():
            yield from leaves(below, f"{name} {word}".strip())
    else:
        yield name, command


VERBS = dict(leaves(typer.main.get_command(app)))


def test_the_verbs_were_found() -> None:
    assert {"fit", "datasets list", "datasets show", "draw variants", "recipes schema", "study"} <= VERBS.keys()


@pytest.mark.parametrize("name", sorted(VERBS.keys() - WITHOUT.keys()))
def test_every_verb_has_json(name: str) -> None:
    assert "--json" in [option for each in VERBS[name].params for option in each.opts]


def document(*args: object, cwd: Path, status: int = 0) -> Any:
    result = run_cli(*args, "--json", cwd=cwd)
    assert result.status == status, result.err
    return json.loads(result.out)


def test_figures_are_listed_with_their_captions(tiny: SimpleNamespace, tmp_path: Path) -> None:
    found = document("draw", "variants", tiny.recipe, "--out", "v.svg", cwd=tmp_path)
    [figure] = found["figures"]
    assert figure["file"] == "v.svg" and "pics: training images" in figure["caption"]
    assert (tmp_path / "v.svg").is_file()
    found = document("draw", "errors", "--ensemble", f"Net={tiny.run}", "--out", "e.svg", cwd=tmp_path)
    assert [figure["file"] for figure in found["figures"]] == ["e.svg"] and found["table"] == "e.csv"
    assert found["images"] == len((tmp_path / "e.csv").read_text().splitlines()) - 1
    assert found["figures"][0]["caption"] == found["caption"]


def test_recipes(tmp_path: Path) -> None:
    written = document("recipes", "show", "digits-lenet", cwd=tmp_path)
    resolved = document("recipes", "show", "digits-lenet", "--resolved", cwd=tmp_path)
    assert written["dataset"] == resolved["dataset"] == "digits"
    assert "split" in resolved and len(resolved) > len(written)
    assert document("recipes", "copy", "digits-lenet", "mine.toml", cwd=tmp_path)["recipe"] == "mine.toml"
    assert document("recipes", "show", "mine.toml", cwd=tmp_path) == written
    assert json.loads(run_cli("recipes", "schema").out)["properties"]


def test_maps_of_tiles_say_what_they_show(tiny: SimpleNamespace, tmp_path: Path) -> None:
    write_png(tmp_path / "one.png", pictures(each=1)[0])
    assert run_cli("predict", tiny.run, "one.png", "--tiles", 12, "--out", "t.csv", cwd=tmp_path).status == 0
    [figure] = document("draw", "tiles", "t.csv", "--out", "map.png", cwd=tmp_path)["figures"]
    assert figure["file"] == "map.png" and "1 tiles of 12 x 12" in figure["caption"]


def test_a_download_that_was_there(tmp_path: Path) -> None:
    content = b"images"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images.bin").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nclasses = ["a", "b"]\nmirrors = ["http://127.0.0.1:9/"]\n'
        f'[[files]]\nname = "images.bin"\nsha256 = "{digest}"\n'
    )
    found = document("datasets", "get", tmp_path / "mine.toml", "--root", "data", cwd=tmp_path)
    assert found == {"dataset": "mine", "root": "data", "downloaded": []}


@pytest.mark.parametrize(
    "words",
    [
        "datasets list",
        "datasets show digits",
        "recipes list",
        "network digits-lenet",
        "check {data}",
        "evaluate {run}",
        "decide {run} --positive class1",
        "predict {run} {data}/class0/00.png --out t.csv",
        "export {run} --to params --output exported",
        "study --list",
        "study mnist-2017 --only table7-10k --dry-run",
        "runs {home}",
    ],
)
def test_nothing_but_the_document_is_printed(words: str, tiny: SimpleNamespace, tmp_path: Path) -> None:
    line = words.format(run=tiny.run, data=tiny.data, home=tiny.home)
    result = run_cli(*line.split(), "--json", cwd=tmp_path)
    assert result.status == 0, result.err
    assert json.loads(result.out)
