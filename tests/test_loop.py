"""The training loop: what is kept as best, when it stops, what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bioclass.card import Card, Class
from bioclass.errors import RecipeError, RunError, Stopped, TrainingError
from bioclass.fit import loop, saver
from bioclass.fit.task import Task
from bioclass.preprocess import prepare
from bioclass.recipe import Recipe
from bioclass.run import Run, create_run, open_run
from bioclass.samples import Samples
from bioclass.validation import validate

CLASSES = ("a", "b")
CARD = Card(name="made", title="made", classes=tuple(Class(name=name) for name in CLASSES))
ENVIRONMENT = {"device": "cpu", "workers": 1, "threads": 1, "root": ""}


class Scripted:
    """A trainer whose validation probabilities for the true class, by epoch, are written beforehand."""

    def __init__(self, task: Task, script: list[float], losses: float = 1.0) -> None:
        self.task, self.script, self.losses = task, script, losses
        self.iteration, self.asked = 0, 0

    def train(self, start: int, end: int) -> float:
        assert start == self.iteration
        self.iteration = end
        return self.losses * (end - start)

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        right = self.script[self.asked]
        self.asked += 1
        table = np.full((len(rows), 2), 1 - right)
        table[np.arange(len(rows)), self.task.labels[rows]] = right
        return table

    def tensors(self) -> dict[str, dict[str, np.ndarray]]:
        now = np.array([self.iteration], dtype=np.float32)
        return {"weights": {"iteration": now}, "optimizer": {"0": now}}

    def result(self) -> dict[str, np.ndarray]:
        return self.tensors()["weights"]

    def restore(self, tensors: dict[str, dict[str, np.ndarray]]) -> None:
        self.iteration = int(tensors["weights"]["iteration"][0])

    def close(self) -> None:
        pass


def prepared(tmp_path: Path, validation: int = 4, **fit: object) -> tuple[Run, Task, np.ndarray]:
    data = {"dataset": "made", "split": {"validation": 0.1 if validation else 0}, "fit": {"batch_size": 5, **fit}}
    recipe = validate(Recipe, data, "recipe", RecipeError)
    samples = Samples(np.zeros((24, 4, 4), np.uint8), np.arange(24) % 2).checked(CLASSES)
    images, plan = prepare(samples, recipe.preprocess, CARD)
    parts = np.array(["train"] * (24 - validation) + ["validation"] * validation)
    run = create_run(tmp_path / "run", recipe, CARD, samples, parts, plan, ENVIRONMENT)
    train = np.flatnonzero(parts == "train")
    return run, Task(recipe, plan, CLASSES, images, samples.labels, train), np.flatnonzero(parts == "validation")


def test_the_best_epoch_is_kept_and_early_stopping_counts_from_it(tmp_path):
    run, task, validation = prepared(tmp_path, epochs=50, early_stopping={"patience": 3})
    trainer = Scripted(task, [0.5, 0.7, 0.9, 0.8, 0.85, 0.89, 0.99])
    records = list(loop.fit(run, task, trainer, validation))
    assert [record["best"] for record in records] == [True, True, True, False, False, False]
    best = open_run(run.path).best()
    assert best.tensors["weights"]["iteration"][0] == records[2]["iteration"] == 12
    assert best.state["record"]["validation_loss"] == pytest.approx(-np.log(0.9))
    assert run.last().state["finished"] == "validation loss has not improved for 3 epochs"
    assert open_run(run.path).history() == records


def test_a_small_improvement_does_not_count_with_min_delta(tmp_path):
    run, task, validation = prepared(tmp_path, epochs=9, early_stopping={"patience": 2, "min_delta": 0.5})
    trainer = Scripted(task, [0.2, 0.25, 0.27, 0.9])
    records = list(loop.fit(run, task, trainer, validation))
    assert [record["best"] for record in records] == [True, False, False]


def test_epochs_that_are_shorter_than_a_save_are_saved_together(tmp_path, monkeypatch):
    run, task, validation = prepared(tmp_path, epochs=4)
    saves = []
    monkeypatch.setattr(
        saver, "save_checkpoint", lambda folder, tensors, state: saves.append((folder.name, state["iteration"]))
    )
    list(loop.fit(run, task, Scripted(task, [0.5, 0.7, 0.9, 0.8]), validation))
    assert saves == [("best", 12), ("last", 16)]


def test_what_is_held_is_saved_when_the_training_diverges(tmp_path):
    run, task, validation = prepared(tmp_path, epochs=4)
    trainer = Scripted(task, [0.5, 0.7])
    train = trainer.train
    trainer.train = lambda start, end: train(start, end) if end <= 8 else float("nan")
    with pytest.raises(TrainingError, match="iterations 8 and 12"):
        list(loop.fit(run, task, trainer, validation))
    assert (run.best().state["iteration"], run.last().state["iteration"]) == (8, 8)
    run.verify()


def test_selection_by_accuracy(tmp_path):
    run, task, validation = prepared(tmp_path, epochs=3, select="accuracy")
    records = list(loop.fit(run, task, Scripted(task, [0.4, 0.6, 0.9]), validation))
    # From 0 % to 100 %, and no better after that, whatever the loss.
    assert [record["best"] for record in records] == [True, True, False]
    assert run.last().state["finished"] == "all iterations done"


def test_without_a_validation_part_the_last_weights_are_the_result(tmp_path):
    run, task, validation = prepared(tmp_path, validation=0, iterations=12)
    records = list(loop.fit(run, task, Scripted(task, []), validation))
    # 24 images in batches of 5: epochs end at iterations 5 and 10, the training at 12.
    assert [record["iteration"] for record in records] == [5, 10, 12]
    assert all(record["best"] and "validation_loss" not in record for record in records)
    assert run.best().tensors["weights"]["iteration"][0] == 12


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_names_the_mend(tmp_path, loss):
    run, task, validation = prepared(tmp_path, epochs=3)
    with pytest.raises(TrainingError, match=r"iterations 0 and 4.*Lower fit\.optimizer\.lr \(now 0\.01\)"):
        list(loop.fit(run, task, Scripted(task, [0.5], losses=loss), validation))
    assert run.last() is None


def test_weights_that_answer_nothing_are_never_the_best(tmp_path):
    run, task, validation = prepared(tmp_path, epochs=3)
    with pytest.raises(TrainingError, match=r"between iterations \d+ and \d+: training diverged"):
        list(loop.fit(run, task, Scripted(task, [0.5, float("nan")]), validation))
    assert run.best().state["record"]["epoch"] == 1


def test_a_real_divergence_is_caught(tmp_path):
    from bioclass.fit.team import TeamTrainer

    run, task, validation = prepared(tmp_path, epochs=30)
    images = np.random.default_rng(0).integers(0, 255, task.images.shape, dtype=np.uint8)
    hot = {"optimizer": {"name": "sgd", "lr": 1e30}, "epochs": 30, "batch_size": 5}
    recipe = validate(
        Recipe,
        {"dataset": "made", "network": {"name": "mlp", "activation": "relu"}, "fit": hot},
        "recipe",
        RecipeError,
    )
    task = Task(recipe, task.plan, CLASSES, images, task.labels, task.train)
    with pytest.raises(TrainingError, match="diverged"):
        list(loop.fit(run, task, TeamTrainer(task, 1), validation))


def test_asked_to_stop_it_saves_between_epochs_and_goes_on_from_there(tmp_path, monkeypatch):
    monkeypatch.setattr(Task, "segment", 2)
    run, task, validation = prepared(tmp_path, epochs=2)
    asked = iter([False, False, True])
    with pytest.raises(Stopped, match="iteration 6 of 8"):
        list(loop.fit(run, task, Scripted(task, [0.5, 0.6]), validation, stop=lambda: next(asked)))
    trainer = Scripted(task, [0.6])
    records = list(loop.fit(run, task, trainer, validation))
    assert trainer.iteration == 8
    assert [record["epoch"] for record in records] == [2]
    assert len(run.history()) == 2


def test_snapshots_are_kept_at_the_end_of_each_cycle(tmp_path):
    run, task, validation = prepared(
        tmp_path, validation=0, iterations=11, snapshots=3, schedule={"name": "cosine"}
    )
    list(loop.fit(run, task, Scripted(task, []), validation))
    # 24 images in batches of 5: epochs end at iterations 5 and 10, cycles at 3, 7 and 11.
    assert run.snapshot_count == 3
    assert [snapshot.tensors["weights"]["iteration"][0] for snapshot in run.snapshots()] == [3, 7, 11]
    assert [snapshot.state for snapshot in run.snapshots()] == [
        {"iteration": end, "snapshot": number} for number, end in ((1, 3), (2, 7), (3, 11))
    ]
    rates = [task.lr(i) for i in range(11)]
    assert rates[0] == rates[3] == rates[7] == max(rates)
    assert rates[:3] == sorted(rates[:3], reverse=True)
    assert run.last().state["snapshots"] == 3
    run.verify()


def test_snapshots_of_a_resumed_fit_are_those_of_one_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(saver, "EVERY", 0)
    monkeypatch.setattr(saver, "PAUSE", 0)
    run, task, validation = prepared(
        tmp_path, validation=0, iterations=11, snapshots=3, schedule={"name": "cosine"}
    )
    with pytest.raises(Stopped, match="iteration 5 of 11"):
        list(loop.fit(run, task, Scripted(task, []), validation, stop=lambda: run.last().state["iteration"] == 5))
    assert run.snapshot_count == 1
    list(loop.fit(run, task, Scripted(task, []), validation))
    assert [snapshot.tensors["weights"]["iteration"][0] for snapshot in run.snapshots()] == [3, 7, 11]


def test_a_missing_snapshot_is_noticed(tmp_path):
    run, task, validation = prepared(tmp_path, validation=0, iterations=8, snapshots=2, schedule={"name": "cosine"})
    list(loop.fit(run, task, Scripted(task, []), validation))
    with pytest.raises(RunError, match=r"has no snapshot 3: it has 2 \(its recipe asks for 2"):
        run.snapshot(3)
    with pytest.raises(RunError, match="has no snapshot 0"):
        run.snapshot(0)
    (run.path / "snapshots" / "02" / "manifest.json").unlink()
    with pytest.raises(RunError, match="has no snapshot 2: it has 1"):
        run.verify()


def test_without_snapshots_there_are_none(tmp_path):
    run, task, validation = prepared(tmp_path, validation=0, iterations=2)
    list(loop.fit(run, task, Scripted(task, []), validation))
    assert (run.snapshot_count, run.snapshots()) == (0, [])
    with pytest.raises(RunError, match=r"it has none \(its recipe asks for none"):
        run.snapshot(1)


def test_what_a_killed_fit_wrote_beyond_its_checkpoint_is_forgotten(tmp_path):
    run, task, validation = prepared(tmp_path, epochs=2)
    history = run.path / "history.jsonl"
    list(loop.fit(run, task, Scripted(task, [0.5, 0.6]), validation))
    confirmed = history.read_text()
    history.write_text(confirmed + json.dumps({"epoch": 3}) + "\n" + '{"ep')
    assert [record["epoch"] for record in run.history()] == [1, 2]
    list(loop.fit(run, task, Scripted(task, []), validation))
    assert history.read_text() == confirmed


def test_scores_are_scikit_learns():
    from sklearn.metrics import balanced_accuracy_score, log_loss

    rng = np.random.default_rng(0)
    labels, table = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50)
    found = loop.scores(table, labels)
    assert found["loss"] == pytest.approx(log_loss(labels, table))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, table.argmax(axis=1)))
