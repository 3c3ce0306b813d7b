"""Many fingerprints, drawn in several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from bioclass.errors import BioclassError, InputError
from bioclass.fingerprints.generate import SIZE, draw_impression, grow_finger
from bioclass.fingerprints.pattern import check_class
from bioclass.fingerprints.styles import Picture

LEAST = {"impressions": 1, "seed": 0, "size": 32, "processes": 1, "first": 0}


def draw_fingerprints(
    names: Sequence[str],
    impressions: int = 2,
    seed: int = 0,
    size: int = SIZE,
    processes: int = 1,
    first: int = 0,
) -> Picture:
    """Draw impressions 0, 1, ... of fingers ``first``, ``first`` + 1, ... of a seed, one class named for each.

    Returns:
        uint8 (len(names) * impressions, size, size), finger by finger; the same with any number of processes.

    Raises:
        InputError: an unknown class, or a number that is too small.
        BioclassError: a process ended early.
    """
    given = {"impressions": impressions, "seed": seed, "size": size, "processes": processes, "first": first}
    for argument, least in LEAST.items():
        if given[argument] < least:
            raise InputError(f"{argument} must be at least {least}. Got {given[argument]}.")
    for name in names:
        check_class(name)
    if processes == 1 or len(names) < 2:
        return _draw(names, impressions, seed, size, first)
    cuts = np.linspace(0, len(names), min(processes, len(names)) + 1).astype(int).tolist()
    jobs = [(list(names[start:stop]), impressions, seed, size, first + start) for start, stop in pairwise(cuts)]
    # Each thread only waits for its process.
    with ThreadPoolExecutor(len(jobs)) as pool:
        return np.concatenate(list(pool.map(_draw_in_process, jobs)))


def serve() -> None:
    """Draw what the standard input asks for, and answer on the standard output: the work of a process."""
    sys.stdout.buffer.write(_draw(*json.load(sys.stdin)).data)


Job = tuple[list[str], int, int, int, int]


def _draw(names: Sequence[str], impressions: int, seed: int, size: int, first: int) -> Picture:
    out: Picture = np.empty((len(names), impressions, size, size), np.uint8)
    for place, name in enumerate(names):
        finger = grow_finger(name, seed, first + place)
        for number in range(impressions):
            out[place, number] = draw_impression(finger, number, size)
    return out.reshape(-1, size, size)


def _draw_in_process(job: Job) -> Picture:
    code = f"import sys; sys.path[:] = {sys.path!r}; from bioclass.fingerprints.parallel import serve; serve()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(job).encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"status {done.returncode}"
        raise BioclassError(f"A process that draws fingerprints ended early: {why}.")
    names, impressions, _, size, _ = job
    return np.frombuffer(done.stdout, np.uint8).reshape(len(names) * impressions, size, size)
