"""The shipped recipes in ONNX give the classes that they give in MXNet, on every image of their data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import real_folder, real_weights, run_cli

from bioclass.export import whole
from bioclass.recipe import load_recipe
from bioclass.shelf import Shelf

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

HOME = {"mnist": "mnist", "herlev": "herlev", "herlev-2": "herlev", "rsmas": "rsmas"}
"""Where the data of a card lies; other cards bring theirs, or have none here."""

FINE = [
    "fit.iterations=40",
    "fit.batch_size=8",
    "fit.schedule.warmup=4",
    "split.fold=0",
    "network.weights={weights}",
]
SHORT = {
    "digits-lenet": ["fit.epochs=2", "fit.schedule.warmup=0"],
    "herlev-finetune": FINE,
    "herlev-2-finetune": FINE,
    "rsmas-finetune": FINE,
    "herlev-scratch": ["fit.iterations=40"],
    "rsmas-scratch": ["fit.iterations=40"],
    "mnist-lenet": ["fit.iterations=1000"],
    "mnist-fast": [],
    "mnist-vgg": ["fit.iterations=600"],
    "mnist-dropconnect": ["fit.epochs=1", "split.validation=0.9"],
}
"""The trainings are cut short: the translation is the same, and what is not sure yet is harder to give alike."""


@pytest.mark.parametrize("name", [name for name in Shelf.of().recipes() if not name.startswith(("sip", "eil"))])
def test_every_image_gets_the_same_class(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="the extra bioclass[onnx] is not installed")
    monkeypatch.setattr(whole, "COMPARED", 70_000)
    recipe = load_recipe(Shelf.of().recipe(name))
    home = HOME.get(recipe.dataset)
    root = [] if home is None else ["--root", real_folder(home)]
    weights = real_weights() if name in SHORT and "{weights}" in str(SHORT[name]) else None
    settings = SHORT.get(name, ["fit.epochs=2"])
    words = [word for each in settings for word in ("--set", each.format(weights=weights))]
    fitted = run_cli("fit", name, "--run", tmp_path / "run", *root, *words)
    assert fitted.status == 0, fitted.err
    done = run_cli("export", tmp_path / "run", "--json", *root)
    assert done.status == 0, done.err
    check = json.loads(done.out)["check"]
    print(name, check)
    assert check["source"] == recipe.dataset
    for part in ("network", "centering", "resizing"):
        if part in check:
            assert check[part]["equal_classes"] == check["images"]
