"""Cost of training an image, and memory, as the number of images grows: both should stay flat.

LeNet at batch 64 on images of noise (28, 28) uint8, in one process; each size in a process of its own. Above
BIOCLASS_MEMORY_LIMIT (here 256 MiB) the images lie in a mapped file, as large data sets do. "own memory" is
what the process holds besides mapped files. Run it with ``make bench-scale``.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ITERATIONS = 400


def measure(n: int) -> dict[str, float]:
    import numpy as np

    from bioclass.environment import set_threads

    set_threads(1, one_by_one=True)
    from bioclass.card import Card, Class
    from bioclass.fit.task import Task
    from bioclass.fit.team import TeamTrainer
    from bioclass.preprocess import prepare
    from bioclass.recipe import load_recipe
    from bioclass.samples import Samples
    from bioclass.shelf import Shelf
    from bioclass.storage import allocate

    rng = np.random.default_rng(0)
    images = allocate((n, 28, 28), np.uint8)
    for start in range(0, n, 10_000):
        images[start : start + 10_000] = rng.integers(0, 256, (min(10_000, n - start), 28, 28), dtype=np.uint8)
    classes = tuple("0123456789")
    samples = Samples(images, rng.integers(0, 10, n)).checked(classes)
    card = Card(name="noise", title="noise", classes=tuple(Class(name=name) for name in classes))
    recipe = load_recipe(Shelf().recipe("mnist-lenet"))
    stored, plan = prepare(samples, recipe.preprocess, card)
    trainer = TeamTrainer(Task(recipe, plan, classes, stored, samples.labels, np.arange(n)), 1)
    trainer.train(0, 50)
    started = time.perf_counter()
    for start in range(50, 50 + ITERATIONS, 50):
        trainer.train(start, start + 50)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    own = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    return {"images": n, "img/s": ITERATIONS * 64 / seconds, "own memory MiB": own / 1024}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        environment = {**os.environ, "BIOCLASS_MEMORY_LIMIT": os.environ.get("BIOCLASS_MEMORY_LIMIT", "256")}
        for size in SIZES:
            done = subprocess.run([sys.executable, __file__, str(size)], env=environment, stdout=subprocess.PIPE)
            row = json.loads(done.stdout)
            print("  ".join(f"{name} {value:,.0f}" for name, value in row.items()), flush=True)
