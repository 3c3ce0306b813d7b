"""``bioclass explain``: what it writes, that it is whole and the same each time, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_png, write_recipe

from bioclass.explain.embedding import pca
from bioclass.files import read_sealed
from bioclass.run import open_run


def table_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def pixels(file: Path) -> Any:
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def explained(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run of digits, copied, that was explained."""
    run = tmp_path_factory.mktemp("explained") / "run"
    shutil.copytree(digits, run)
    result = run_cli("explain", run, "--device", "cpu", "--json")
    assert result.status == 0, result.err
    return SimpleNamespace(run=run, folder=run / "explanation", told=json.loads(result.out), err=result.err)


def test_a_run_is_explained_in_its_folder(explained: SimpleNamespace) -> None:
    document = read_sealed(explained.folder / "explanation.json")
    assert (document["format"], document["version"]) == ("bioclass explanation", 1)
    assert document["weights"] == open_run(explained.run).best_digest()
    assert explained.told == {"folder": str(explained.folder), **document}
    titles = [section["title"] for section in document["sections"]]
    assert titles == [
        "What counts for an answer",
        "First layer",
        "Feature maps",
        "What excites units",
        "How the images are arranged",
    ]
    figures = [figure for section in document["sections"] for figure in section["figures"]]
    names = {"explanation.json", "embedding-pca.svg", "embedding-pca.csv", *(figure["file"] for figure in figures)}
    assert {file.name for file in explained.folder.iterdir()} == names
    for figure in figures:
        assert figure["alt"].endswith(".") and figure["caption"].endswith(".")
        assert np.ptp(pixels(explained.folder / figure["file"])) > 100
    assert [figure["file"] for figure in document["sections"][2]["figures"]] == [
        f"maps-{layer}.png" for layer in ("conv1", "pool1", "conv2", "pool2")
    ]
    assert "The 20 feature maps that conv1 makes" in document["sections"][2]["figures"][0]["caption"]
    assert "UMAP is not installed (pip install 'bioclass[umap]')" in explained.err


def test_the_embedding_is_of_every_test_image(explained: SimpleNamespace) -> None:
    (entry,) = read_sealed(explained.folder / "explanation.json")["embeddings"]
    assert entry["method"] == "PCA" and entry["file"] == "embedding-pca.csv"
    assert 0 < entry["explained"][1] <= entry["explained"][0] < 1
    rows = table_of(explained.folder / entry["file"])
    run = open_run(explained.run)
    mine = run.split.parts == "test"
    assert [row["id"] for row in rows] == run.split.ids[mine].tolist()
    assert [row["true"] for row in rows] == [run.classes[label] for label in run.split.labels[mine]]
    assert {row["part"] for row in rows} == {"test"}
    evaluated = run_cli("evaluate", explained.run, "--device", "cpu")
    assert evaluated.status == 0, evaluated.err
    predicted = [row["predicted"] for row in table_of(explained.run / "evaluation" / "test" / "predictions.csv")]
    assert [row["predicted"] for row in rows] == predicted
    places = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    assert abs(places.mean(axis=0)).max() < 1e-3 < places.std(axis=0).min()


def test_again_it_is_the_same_and_takes_the_place_of_the_old(explained: SimpleNamespace) -> None:
    before = {file.name: file.read_bytes() for file in explained.folder.iterdir()}
    (explained.folder / "left-over.png").write_bytes(b"of an older version")
    result = run_cli("explain", explained.run, "--device", "cpu")
    assert result.status == 0, result.err
    assert {file.name: file.read_bytes() for file in explained.folder.iterdir()} == before
    assert str(explained.folder / "overlays.png") in result.out and "What excites units" in result.out
    assert [path.name for path in explained.run.iterdir() if ".tmp" in path.name] == []


def test_files_are_explained_without_any_data(tiny: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(tiny.run, tmp_path / "run")
    for number, image in enumerate(pictures(1, 3, (12, 12))):
        write_png(tmp_path / f"new{number}.png", image)
    (tmp_path / "broken.png").write_bytes(b"no image")
    out = tmp_path / "here"
    result = run_cli("explain", tmp_path / "run", tmp_path, "--out", out, "--device", "cpu", "--json")
    assert result.status == 0, result.err
    document = json.loads(result.out)
    (section,) = document["sections"]
    assert document["data"] == {"files": 3} and document["embeddings"] == []
    # The network is a perceptron.
    assert "there is no Grad-CAM" in section["figures"][0]["caption"]
    assert "broken.png is not an image" in result.err
    assert sorted(file.name for file in out.iterdir()) == ["explanation.json", "overlays.png"]
    # By default it stands beside what is told of the run's own data.
    assert run_cli("explain", tmp_path / "run", tmp_path / "new0.png").status == 0
    assert (tmp_path / "run" / "explanation-images" / "overlays.png").is_file()


def test_a_perceptron_and_images_of_any_depth_and_channels_are_explained(tmp_path: Path) -> None:
    """Five channels of 16 bits, which no file viewer shows, and a network without convolution."""
    images = np.stack([pictures(shape=(14, 14), dtype="uint16")] * 5, axis=-1)
    images[..., 2] //= 3
    np.savez(tmp_path / "deep.npz", images=images, labels=np.repeat([0, 1, 2], 12))
    (tmp_path / "deep.toml").write_text(
        'name = "deep"\ntitle = "Deep"\nclasses = ["a", "b", "c"]\nformat = { name = "npz", file = "deep.npz" }\n',
        encoding="utf-8",
    )
    run = fit(
        write_recipe(tmp_path / "recipe.toml", "deep"), tmp_path / "run", "--root", tmp_path, "--path", tmp_path
    )
    result = run_cli("explain", run, "--part", "train", "--device", "cpu", "--json", "--path", tmp_path)
    assert result.status == 0, result.err
    document = json.loads(result.out)
    caption = {section["title"]: section["figures"][0]["caption"] for section in document["sections"]}
    assert "Feature maps" not in caption and document["data"]["part"] == "train"
    assert "mean of its 5 channels" in caption["First layer"]
    assert "the 8 units of the last hidden layer" in caption["What excites units"]


def test_a_fold_is_explained_by_what_it_held_out_and_folds_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "pics", pictures(each=20))
    recipe = write_recipe(tmp_path / "recipe.toml", "pics", "[split]\nfolds = 3\n")
    folds = fit_folds(recipe, tmp_path / "folds")
    assert (
        f"{folds} holds folds, each with a network of its own: name one of its runs, as {folds}/fold-0."
        in refused("explain", folds)
    )
    result = run_cli("explain", folds / "fold-1", "--device", "cpu", "--json")
    assert result.status == 0, result.err
    assert json.loads(result.out)["data"] == {"part": "test", "images": 20, "of": 20}


def test_what_cannot_be_explained_is_refused(tiny: SimpleNamespace, tmp_path: Path) -> None:
    assert "There is no run folder" in refused("explain", tmp_path / "none")
    assert "A part is one of" in refused("explain", tiny.run, "--part", "tset")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for more in ((), (tiny.data,)):
        error = refused("explain", tiny.run, *more, "--out", tmp_path / "mine")
        assert "exists and is no explanation of bioclass: name another folder" in error
    assert (tmp_path / "mine" / "thesis.txt").is_file()
    assert "make it first" in refused("explain", tiny.run, "--out", tmp_path / "a" / "b")
    error = refused("explain", tiny.run, tiny.data, "--part", "test")
    assert "--part is for the run's own data: leave it out, or leave the images out." in error
    (tmp_path / "broken.png").write_bytes(b"no image")
    result = run_cli("explain", tiny.run, tmp_path / "broken.png", "--out", tmp_path / "out")
    assert result.status == 2 and "No image could be explained" in result.err
    assert not (tmp_path / "out").exists()


def test_of_a_large_part_so_many_are_drawn_by_chance_and_it_is_said(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioclass.explain.subject.MOST", 10)
    result = run_cli("explain", tiny.run, "--part", "train", "--out", tmp_path / "out", "--device", "cpu", "--json")
    assert result.status == 0, result.err
    document = json.loads(result.out)
    total = int((open_run(tiny.run).split.parts == "train").sum())
    assert document["data"] == {"part": "train", "images": 10, "of": total}
    rows = table_of(tmp_path / "out" / "embedding-pca.csv")
    assert len({row["id"] for row in rows}) == 10
    caption = document["sections"][-1]["figures"][0]["caption"]
    assert f"10 train images, drawn by chance from {total}, by PCA" in caption


# Embeddings


def test_principal_components_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    features = np.random.default_rng(0).standard_normal((40, 7)).astype(np.float32) * np.arange(
        1, 8, dtype="float32"
    )
    found, peer = pca(features), PCA(2, svd_solver="full")
    places = peer.fit_transform(features)
    np.testing.assert_allclose(np.abs(found.places), np.abs(places), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.explained, peer.explained_variance_ratio_, rtol=1e-4)
    # Turned round it is still the same: no sign by chance.
    np.testing.assert_allclose(pca(features[::-1]).places[::-1], found.places, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 4), (2, 1), (5, 1), (3, 4)])
def test_few_images_and_few_features_have_places_too(shape: tuple[int, int]) -> None:
    found = pca(np.ones(shape, np.float32))
    assert found.places.shape == (shape[0], 2) and not found.places.any()
    assert found.explained == (0, 0)


def test_umap_is_drawn_where_it_is_installed(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    class Umap:
        def __init__(self, **settings: Any) -> None:
            asked.update(settings)

        def fit_transform(self, features: Any) -> Any:
            return features[:, :2] * 3

    module = ModuleType("umap")
    module.UMAP = Umap  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", module)
    result = run_cli("explain", tiny.run, "--out", tmp_path / "out", "--device", "cpu", "--json")
    assert result.status == 0, result.err
    entries = json.loads(result.out)["embeddings"]
    assert [entry["method"] for entry in entries] == ["PCA", "UMAP"]
    assert entries[1] == {"method": "UMAP", "file": "embedding-umap.csv", "explained": []}
    count = len(table_of(tmp_path / "out" / "embedding-umap.csv"))
    assert count == len(table_of(tmp_path / "out" / "embedding-pca.csv"))
    assert asked["random_state"] == open_run(tiny.run).recipe.seed
    assert asked["n_neighbors"] == min(15, count - 1)
    assert (tmp_path / "out" / "embedding-umap.svg").is_file() and "not installed" not in result.err
