"""Time of training many heads on cached features, beside that of one pass over the images.

Ten heads, which differ in learning rate and dropout, on five folds by slide of the Herlev images, with the test
part of each evaluated: 50 run folders. First as a user has it, by the clock, on all cores: the whole ``bioclass
study`` beside one with the first head and fold alone, which is a pass too; each starts with an empty cache. Then in
one process of one thread, where time is the processor's: the pass reads every image and computes its features.

The data lie where BIOCLASS_TEST_DATA says, and the weights where BIOCLASS_TEST_WEIGHTS does; where they do not,
nothing is measured. Run it with ``make bench-features``. The script takes a network's name, by default
mobilenetv2_1.0, which pools its features; squeezenet1.1 does not, so that its heads have 68 times as much to read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EPOCHS = 5
HEADS = [{"lr": lr, "dropout": dropout} for lr in (0.001, 0.003, 0.01, 0.03, 0.1) for dropout in (0.0, 0.5)]
FOLDS = 5


def recipe_text(network: str, weights: Path, head: dict[str, float]) -> str:
    return f"""
dataset = "herlev"
[network]
name = "{network}"
weights = "{weights}"
[split]
folds = {FOLDS}
validation = 0
[fit]
epochs = {EPOCHS}
batch_size = 32
optimizer = {{ name = "sgd", lr = {head["lr"]}, momentum = 0.9 }}
schedule = {{ name = "cosine" }}
transfer = {{ name = "features", dropout = {head["dropout"]} }}
"""


def study_text(heads: int, folds: int) -> str:
    """A study of the first heads and folds of the recipe beside it."""
    lines = ['title = "Heads"', 'recipe = "head0"', "seeds = [0]"]
    for number, head in enumerate(HEADS[:heads]):
        lines += [f"[axes.head.h{number}]", f"fit.optimizer.lr = {head['lr']}"]
        lines += [f"fit.transfer.dropout = {head['dropout']}"]
    for fold in range(folds):
        lines += [f"[axes.fold.f{fold}]", f"split.fold = {fold}"]
    return "\n".join([*lines, "[[tables]]", 'name = "heads"', 'title = "Heads"', 'rows = ["head", "fold"]', ""])


def main(network: str) -> None:
    root = Path(os.environ.get("BIOCLASS_TEST_DATA", "nowhere"), "herlev").resolve()
    weights = Path(os.environ.get("BIOCLASS_TEST_WEIGHTS", "nowhere"), f"{network}.params").resolve()
    if not root.is_dir() or not weights.is_file():
        sys.exit(
            "Not measured: BIOCLASS_TEST_DATA must name a folder with herlev, and BIOCLASS_TEST_WEIGHTS one with "
            f"{weights.name}."
        )
    with tempfile.TemporaryDirectory() as folder:
        for number, head in enumerate(HEADS):
            Path(folder, f"head{number}.toml").write_text(recipe_text(network, weights, head), encoding="utf-8")
        command(Path(folder), root)
        os.environ["BIOCLASS_CACHE"] = f"{folder}/cache"
        measure(network, root, Path(folder))


def command(folder: Path, root: Path) -> None:
    seconds = []
    for name, heads, folds in (("one", 1, 1), ("all", len(HEADS), FOLDS)):
        file = folder / f"{name}.toml"
        file.write_text(study_text(heads, folds), encoding="utf-8")
        words = ["study", str(file), "--runs", str(folder / name), "--root", str(root), "--path", str(folder)]
        begun = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "bioclass", *words],
            check=True,
            capture_output=True,
            env={**os.environ, "BIOCLASS_CACHE": f"{folder}/cache-{name}"},
        )
        seconds.append(time.monotonic() - begun)
    one, whole = seconds
    print(f"bioclass study, one head and fold {one:6.1f} seconds; {len(HEADS) * FOLDS} of them {whole:6.1f}")
    print(f"                                  {whole / one:.2f} times")


def measure(network: str, root: Path, folder: Path) -> None:
    # Loaded by any fit, and none of its affair.
    from bioclass.environment import set_threads

    set_threads(1, one_by_one=True)
    import bioclass.evaluate
    import bioclass.fit.heads  # noqa: F401
    from bioclass.backend import import_gluoncv
    from bioclass.dataset import ReadOnce
    from bioclass.recipe import load_recipe
    from bioclass.shelf import Shelf
    from bioclass.study.folds import fold_cells, make_folds
    from bioclass.study.pool import Pool
    from bioclass.study.work import Job, run_job

    import_gluoncv()
    shelf, load = Shelf(), ReadOnce()
    seconds = []
    for number in range(len(HEADS)):
        folds = make_folds(
            load_recipe(folder / f"head{number}.toml"), folder, folder / f"runs{number}", root, shelf
        )
        for cell in fold_cells(folds, folder):
            begun = time.process_time()
            outcome = run_job(Job.of(cell, Pool(folds.path), root, shelf, 1, "cpu"), load=load)
            assert outcome.state == "finished", outcome.reason
            seconds.append(time.process_time() - begun)
    entry = next(folder.glob("cache/features/*/features.npy"))
    each = sum(seconds[1:]) / len(seconds[1:])
    one_pass = seconds[0] - each
    print(f"{network}: features of {entry.stat().st_size / 2**20:.0f} MiB, {len(seconds)} runs; CPU seconds")
    print(f"one pass over the images {one_pass:8.1f}")
    print(f"each head and fold       {each:8.2f}, {EPOCHS} epochs and the test part")
    print(f"the whole study          {sum(seconds):8.1f}, {sum(seconds) / one_pass:.2f} times one pass")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "mobilenetv2_1.0")
