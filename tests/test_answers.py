"""Image files are answered in their order, and read ahead of the network."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import write_png

from bioclass import answers
from bioclass.answers import answer_files
from bioclass.errors import ImageError
from bioclass.preprocess import Input, Plan

PLAN = Plan(
    input=Input(channels=1, dtype="uint8", bit_depth=8),
    size=(4, 4),
    resize="stretch",
    center=None,
    divisor=255.0,
    mean=(0.0,),
    std=(1.0,),
    channels=1,
)
BATCH = 4


def write_files(folder: Path, count: int, damaged: tuple[int, ...] = ()) -> list[Path]:
    """Write images whose only value is their number."""
    paths = [folder / f"{number:02d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        write_png(path, np.full((6, 5), number, np.uint8))
        if number in damaged:
            path.write_bytes(b"no image")
    return paths


@pytest.mark.parametrize("count", [0, 1, 4, 5, 19])
def test_every_file_has_its_own_answer_in_their_order(tmp_path: Path, count: int) -> None:
    damaged = (0, 6, 8, 9, 10, 11)
    sizes: list[int] = []

    def probabilities(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return images[:, 0, 0, :].astype(np.float64)

    paths = write_files(tmp_path, count, damaged)
    found = list(answer_files(probabilities, PLAN, paths, BATCH))
    assert [path for path, _ in found] == paths
    for number, (_, answer) in enumerate(found):
        if number in damaged:
            assert isinstance(answer, ImageError)
        else:
            assert answer == number
    # A batch of damaged files alone is not computed.
    assert sizes == {0: [], 1: [], 4: [3], 5: [3, 1], 19: [3, 3, 4, 3]}[count]


def test_the_next_batch_is_read_while_one_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_files(tmp_path, 3 * BATCH)
    read = [threading.Event() for _ in paths]
    original = answers.read_for

    def noted(plan: Plan, path: Path) -> np.ndarray:
        image = original(plan, path)
        read[paths.index(path)].set()
        return image

    monkeypatch.setattr(answers, "read_for", noted)
    batches: list[int] = []

    def probabilities(images: np.ndarray) -> np.ndarray:
        number = len(batches)
        batches.append(number)
        following = slice((number + 1) * BATCH, (number + 2) * BATCH)
        assert all(each.wait(timeout=20) for each in read[following])
        # No more than that is in memory.
        assert not any(each.is_set() for each in read[(number + 2) * BATCH :])
        return np.zeros((len(images), 2))

    assert len(list(answer_files(probabilities, PLAN, paths, BATCH))) == len(paths)
    assert batches == [0, 1, 2]
