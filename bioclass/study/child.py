"""A process that runs one cell, as its starter sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from bioclass.study.pool import Pool
from bioclass.study.work import Job, Outcome


class Child:
    """A process for one job, with one thread."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._log = Pool(Path(job.runs)).log_file(job.name)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from bioclass.study.work import serve; serve({os.getpid()})"
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                # A terminal's Ctrl-C is for the study, which then asks its processes to stop.
                start_new_session=True,
            )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asdict(job)).encode())
            self._process.stdin.close()
        except BrokenPipeError:  # it ended already; how, ``outcome`` says
            pass

    def outcome(self) -> Outcome | None:
        """Return how the process ended, None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            answer = stream.read()
        ended_well = status == 0 and bool(answer)
        outcome = Outcome(**json.loads(answer)) if ended_well else Outcome("failed", self._how(status))
        if outcome.state != "failed":
            self._log.unlink(missing_ok=True)
        return outcome

    def stop(self) -> None:
        """Ask the process to save its state and end."""
        self._process.terminate()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()

    def _how(self, status: int) -> str:
        if status < 0:
            hint = " (memory may have run out: lower --jobs)" if status == -9 else ""
            return f"Its process was killed by signal {-status}{hint}."
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"Its process ended with status {status}: {lines[-1] if lines else 'no word'} (see {self._log})."
