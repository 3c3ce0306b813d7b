"""bioclass's side of the training bench: told a setting on stdin, it trains as ``fit`` does."""

import json
import sys
import time
from collections.abc import Sequence

import numpy as np

from bioclass.environment import set_threads

set_threads(1, one_by_one=True)

from bioclass.card import Card, Class  # noqa: E402
from bioclass.errors import RecipeError  # noqa: E402
from bioclass.fit.session import best_workers  # noqa: E402
from bioclass.fit.task import Task  # noqa: E402
from bioclass.fit.team import TeamTrainer  # noqa: E402
from bioclass.preprocess import prepare  # noqa: E402
from bioclass.recipe import Recipe, load_recipe  # noqa: E402
from bioclass.samples import Samples  # noqa: E402
from bioclass.shelf import Shelf  # noqa: E402

CLASSES = tuple("0123456789")
CARD = Card(name="noise", title="noise", classes=tuple(Class(name=name) for name in CLASSES))


class Side:
    """The shipped MNIST recipe of a network, on as many images of noise: their values do not change the speed."""

    def __init__(self, network: str, batch: int, workers: int | None, changes: Sequence[str] = ()) -> None:
        recipe: Recipe = load_recipe(Shelf().recipe(f"mnist-{network}"), [f"fit.batch_size={batch}", *changes])
        rng = np.random.default_rng(0)
        samples = Samples(rng.integers(0, 256, (60000, 28, 28), dtype=np.uint8), rng.integers(0, 10, 60000))
        samples = samples.checked(CLASSES)
        images, plan = prepare(samples, recipe.preprocess, CARD)
        self.task = Task(recipe, plan, CLASSES, images, samples.labels, np.arange(60000))
        if workers is None:
            workers = best_workers(recipe, 2, 60000, plan.size[0] * plan.size[1])
        self.workers = workers
        self.trainer = TeamTrainer(self.task, workers)
        self.at = 0

    def train(self, iterations: int) -> float:
        started = time.perf_counter()
        end = self.at + iterations
        while self.at < end:
            # As the loop does: in segments, with the random numbers seeded anew at each.
            stop = min(self.at + self.task.segment, end)
            self.trainer.train(self.at, stop)
            self.at = stop
        return iterations * self.task.recipe.fit.batch_size / (time.perf_counter() - started)


sides: dict[str, Side] = {}
for line in sys.stdin:
    order = json.loads(line)
    key = json.dumps(order["setting"])
    try:
        if key not in sides:
            sides[key] = Side(**order["setting"])
            sides[key].train(20)
        print(json.dumps(sides[key].train(order["iterations"])), flush=True)
    except RecipeError as problem:
        sys.exit(str(problem))
for side in sides.values():
    side.trainer.close()
