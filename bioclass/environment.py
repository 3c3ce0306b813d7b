"""What a result depends on besides recipe and data: versions, machine, threads. Recorded, and kept on resume."""

from __future__ import annotations

import os
import platform
import sys
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = (
    "bioclass",
    "mxnet",
    "mxnet-cu112",
    "gluoncv",
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "pandas",
)

# Read once: ``set_threads`` writes the variable too.
_ASKED_FOR = os.environ.get("OMP_NUM_THREADS", "")


def describe_environment() -> dict[str, Any]:
    """Return versions and machine, JSON-ready."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": available_cores(),
        "packages": {name: found for name in PACKAGES if (found := package_version(name))},
    }


def available_cores() -> int:
    """Return the cores to use: those this process may run on, and no more than OMP_NUM_THREADS says."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(_ASKED_FOR))) if _ASKED_FOR.isdigit() else cores


def set_threads(threads: int, one_by_one: bool = False) -> None:
    """Let MXNet compute with this many threads; it counts before MXNet is loaded and after.

    ``one_by_one`` lets it compute each operation when it is called, without its scheduler: 6 % faster where there
    is nothing to overlap. That counts only before MXNet is loaded, and changes no result.
    """
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    if "mxnet" in sys.modules:
        from bioclass.backend import mx

        mx.base.check_call(mx.base._LIB.MXSetNumOMPThreads(threads))
    elif one_by_one:
        os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"


@cache
def package_version(package: str) -> str | None:
    """Return the version of an installed package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def utc_now() -> str:
    """Return the time as ISO 8601 writes it, of UTC and to the second: ``2026-11-27T01:33:15Z``."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123 - not a file of anyone's
            return next(line.partition(":")[2].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
