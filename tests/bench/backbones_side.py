"""bioclass's side of the bench of backbones: told a setting on stdin, it trains, reads or predicts.

It answers images a second. In one process it either trains, as ``fit`` does, or predicts, as ``predict`` does, for
the two load MXNet differently.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np


class Training:
    """The recipe of the folder with another network, on its images as ``fit`` has them."""

    def __init__(self, folder, network, batch):
        from bioclass.environment import available_cores, set_threads

        set_threads(1, one_by_one=True)
        from bioclass.dataset import load_samples
        from bioclass.fit.session import best_workers
        from bioclass.fit.task import Task
        from bioclass.fit.team import TeamTrainer
        from bioclass.preprocess import fit_statistics, prepare
        from bioclass.recipe import load_recipe
        from bioclass.shelf import Shelf

        changes = [f'network.name="{network}"', f"fit.batch_size={batch}"]
        recipe = load_recipe(Path(folder, "recipe.toml"), changes)
        card, _ = Shelf().find(recipe.dataset, Path(folder))
        self.samples = load_samples(card, Path(folder, "images"), Shelf())
        self.prepare = lambda rows: prepare(self.samples.take(rows), recipe.preprocess, card)
        rows = np.arange(len(self.samples))
        images, plan = self.prepare(rows)
        plan = fit_statistics(plan, images, rows)
        self.task = Task(recipe, plan, card.class_names, images, self.samples.labels, rows)
        workers = best_workers(recipe, available_cores(), len(images), int(np.prod(images.shape[1:])))
        self.trainer = TeamTrainer(self.task, workers)
        self.at = 0
        self.run(1, False)

    def sizes(self):
        from bioclass.networks.parameters import parameters

        return sorted(int(np.prod(parameter.shape)) for parameter in parameters(self.task.network()).values())

    def read(self, count):
        """Decode and resize images of the folder, as many at a time as there are processors."""
        self.prepare(np.arange(count) % len(self.samples))

    def run(self, iterations, reading):
        started = time.perf_counter()
        if reading:
            self.read(iterations * self.task.recipe.fit.batch_size)
        end = self.at + iterations
        while self.at < end:
            # As the loop does: in segments, with the random numbers seeded anew at each.
            stop = min(self.at + self.task.segment, end)
            self.trainer.train(self.at, stop)
            self.at = stop
        return iterations * self.task.recipe.fit.batch_size / (time.perf_counter() - started)

    def close(self):
        self.trainer.close()


class Prediction:
    """A run folder, or the ONNX file that was exported from it, on image files."""

    def __init__(self, folder, model):
        from bioclass.environment import available_cores, set_threads

        set_threads(available_cores())
        if model.endswith(".onnx"):
            from bioclass.exported import open_exported

            self.model = open_exported(Path(model))
        else:
            from bioclass.backend import mx
            from bioclass.predict import Predictor
            from bioclass.run import open_run

            self.model = Predictor(open_run(Path(model)), mx.cpu())
        self.paths = sorted(Path(folder, "images").rglob("*.jpg"))
        self.run(1)

    def run(self, iterations):
        paths = [self.paths[i % len(self.paths)] for i in range(16 * iterations)]
        started = time.perf_counter()
        for path, answer in self.model.files(paths):
            assert isinstance(answer, np.ndarray), path
        return len(paths) / (time.perf_counter() - started)

    def close(self):
        pass


def answer(side, what, iterations):
    if what == "sizes":
        return side.sizes()
    if what == "read":
        started = time.perf_counter()
        side.read(iterations)
        return iterations / (time.perf_counter() - started)
    return side.run(iterations) if what == "predict" else side.run(iterations, what == "first pass")


if __name__ == "__main__":
    side = None
    for line in sys.stdin:
        order = json.loads(line)
        what = order["setting"].pop("what")
        side = side or (Prediction if what == "predict" else Training)(**order["setting"])
        print(json.dumps(answer(side, what, order["iterations"])), flush=True)
    if side is not None:
        side.close()
