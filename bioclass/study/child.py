"""A process that runs cells, as its starter sees it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bioclass.study.pool import Pool
from bioclass.study.work import Job, Outcome


class Child:
    """A process of one thread for one job after another; to start one takes as long as to train a small head."""

    def __init__(self, job: Job) -> None:
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from bioclass.study.work import serve; serve({os.getpid()})"
        )
        self._log = _new_log(job)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                # A terminal's Ctrl-C is for the study, which then asks its processes to stop.
                start_new_session=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._ask, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._answers.fileno(), False)
        self._answer = b""
        self._send(job)

    def give(self, job: Job) -> bool:
        """Give the next job to a process that has answered; return whether it is there to take it."""
        if self._process.poll() is not None:
            return False
        self._log = _new_log(job)
        return self._send(job)

    def outcome(self) -> Outcome | None:
        """Return how the job ended, None while it runs; after "failed" the process may be gone."""
        # Looked at first: what it answered before it ended is read after that.
        status = self._process.poll()
        self._answer += self._answers.read() or b""
        if self._answer.endswith(b"\n"):
            outcome, self._answer = Outcome(**json.loads(self._answer)), b""
        elif status is not None:
            outcome = Outcome("failed", self._how(status))
        else:
            return None
        if outcome.state != "failed":
            self._log.unlink(missing_ok=True)
        return outcome

    def stop(self) -> None:
        """Ask the process to save its state, answer, and end."""
        self._process.terminate()
        self._ask.close()

    def close(self) -> None:
        """Let a process that has answered end."""
        self._ask.close()
        self._process.wait()
        self._answers.close()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self.close()

    def fileno(self) -> int:
        """Return what can be read from once there is something to look at."""
        return self._answers.fileno()

    def _send(self, job: Job) -> bool:
        try:
            self._ask.write(json.dumps(asdict(job)).encode() + b"\n")
        except BrokenPipeError:  # it ended already; how, ``outcome`` says
            return False
        return True

    def _how(self, status: int) -> str:
        if status < 0:
            hint = " (memory may have run out: lower --jobs)" if status == -9 else ""
            return f"Its process was killed by signal {-status}{hint}."
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"Its process ended with status {status}: {lines[-1] if lines else 'no word'} (see {self._log})."


def wait(children: Sequence[Child], seconds: float) -> None:
    """Return when one of these has something to look at, or after so many seconds."""
    select.select(children, [], [], seconds)


def _new_log(job: Job) -> Path:
    log = Pool(Path(job.runs)).log_file(job.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    return log
