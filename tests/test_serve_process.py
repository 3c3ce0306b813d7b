"""``bioclass serve`` as a user starts it: a process that listens, answers, and ends when it is asked to."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import refused, run_cli

PATIENCE = 120.0


@contextmanager
def serving(*args: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that serves, and its port; what it says on the way is in ``process.said``."""
    command = [sys.executable, "-m", "bioclass", "serve", *map(str, args), "--port", "0", "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"Serving .* at http://\S+:(\d+) ", line):
                    process.said = said  # type: ignore[attr-defined]
                    yield process, int(found[1])
                    return
            raise AssertionError("".join(said))
        finally:
            process.kill()


def form(path: Path) -> tuple[bytes, dict[str, str]]:
    head = f'--B\r\nContent-Disposition: form-data; name="image"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + b"\r\n--B--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=B"}


def ask(port: int, method: str, address: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, address, body, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_it_answers_under_load_with_a_slow_client_and_ends_by_ctrl_c(tiny: SimpleNamespace) -> None:
    file = next(tiny.data.rglob("*.png"))
    [row] = json.loads(run_cli("predict", tiny.run, file, "--json").out)["images"]
    with ExitStack() as stack:
        process, port = stack.enter_context(serving(tiny.run))
        body, headers = form(file)
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        head = f"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {headers['Content-Type']}\r\n"
        slow.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode() + body[:50])
        # A client that connects and never says anything.
        stack.enter_context(socket.create_connection(("127.0.0.1", port)))

        def many(_: int) -> list[int]:
            return [ask(port, "POST", "/api/predict?overlay=yes", body, headers)[0] for _ in range(5)]

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(many, number) for number in range(8)]
            slowest = 0.0
            while not all(each.done() for each in asked):
                started = time.monotonic()
                assert ask(port, "GET", "/healthz")[1]["status"] == "ok"
                slowest = max(slowest, time.monotonic() - started)
        assert {status for each in asked for status in each.result()} <= {200, 503}
        # Generous, for a machine that has much else to do.
        assert slowest < 10
        status, document = ask(port, "POST", "/api/predict", body, headers)
        assert status == 200
        probabilities = document["images"][0]["answers"][0]["probabilities"]
        assert probabilities == {key[2:]: value for key, value in row.items() if key.startswith("p_")}
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and rest == "", rest


def test_it_ends_by_sigterm_too_and_warns_of_an_open_host(tiny: SimpleNamespace) -> None:
    with serving(tiny.run, "--host", "0.0.0.0") as (process, _):
        assert "no password" in process.said[0]  # type: ignore[attr-defined]
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_port_or_host_that_cannot_be_had_is_said_before_anything_is_loaded(tiny: SimpleNamespace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} of 127.0.0.1 is in use" in refused("serve", tiny.run, "--port", port)
    assert "no name or address of this machine" in refused("serve", tiny.run, "--host", "no.such.host.invalid")
    assert "no address of this machine" in refused("serve", tiny.run, "--host", "192.0.2.1", "--port", 0)
    assert "65535" in refused("serve", tiny.run, "--port", 65536)


def test_models_that_cannot_be_served_are_refused(tiny: SimpleNamespace, tmp_path: Path) -> None:
    assert "There is no run folder" in refused("serve", tmp_path / "none")
    assert "given twice" in refused("serve", tiny.run, tiny.home / "x" / ".." / tiny.run.name)


def test_a_missing_extra_is_named(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("starlette", "uvicorn", "python_multipart"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            result = run_cli("serve", tiny.run)
        assert (
            result.status == 1 and "pip install 'bioclass[serve]'" in result.err and "Traceback" not in result.err
        )
