"""Which devices to compute on: "auto", "cpu", "gpu", "gpu:0,1".

An uncaught MXNetError for a GPU that is missing or too new aborts the process, so GPUs are asked about through
the NVIDIA driver's own library before any MXNet GPU context is made.
"""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from bioclass.errors import DeviceError, MissingDependency, did_you_mean

if TYPE_CHECKING:
    from bioclass.backend import mx

# The mxnet-cu112 1.9.1 wheel holds code for 5.0, 6.0, 7.0, 8.0 and 8.6 and no PTX: newer GPUs cannot run it.
OLDEST, NEWEST = (5, 0), (8, 9)
# CUDA 11's minor version compatibility starts with the first driver of CUDA 11 (450.80).
OLDEST_DRIVER = 11000
FORMS = ("auto", "cpu", "gpu", "gpu:0", "gpu:0,1", "cpu:0,1")

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR in cuda.h


class Request(NamedTuple):
    """A device string taken apart."""

    kind: Literal["auto", "cpu", "gpu"]
    ids: tuple[int, ...]


class GPU(NamedTuple):
    """One GPU as the driver describes it."""

    name: str
    capability: tuple[int, int]  # compute capability: (major, minor)


class Probe(NamedTuple):
    """What the driver answered: the GPUs in its order, or the problem as half a sentence."""

    gpus: tuple[GPU, ...]
    problem: str | None = None


class Build(NamedTuple):
    """Whether the installed MXNet computes on GPUs; ``problem`` is why it cannot be imported."""

    cuda: bool
    problem: str | None = None


class Choice(NamedTuple):
    """A device by its name, "cpu" or "gpu:0,1", and in a few words why."""

    device: str
    reason: str


def parse(device: str) -> Request:
    """Take a device string apart: "auto", "cpu", "gpu", or a kind with ids, "gpu:0,1". Needs no MXNet.

    Several cpu ids ("cpu:0,1") are several contexts on the same processor: they run the several-device code
    without GPUs, which is what tests want.

    Raises:
        DeviceError: the string is malformed.
    """
    found = re.fullmatch(r"(auto)|(cpu|gpu)(?::(\d+(?:,\d+)*))?", device)
    if found is None:
        word = device.strip().lower().replace("cuda", "gpu")
        hint = did_you_mean(word, FORMS) or "."
        raise DeviceError(f"The device must be one of {', '.join(FORMS)} (any ids). Got {device!r}{hint}")
    if found[1]:
        return Request("auto", ())
    ids = tuple(int(part) for part in (found[3] or "0").split(","))
    if len(set(ids)) < len(ids):
        mended = ",".join(str(each) for each in dict.fromkeys(ids))
        raise DeviceError(f"The device {device!r} names one id twice; did you mean '{found[2]}:{mended}'?")
    return Request("cpu" if found[2] == "cpu" else "gpu", ids)


def choose(device: str) -> Choice:
    """Turn a device string into one that can be used, and say why it was chosen.

    "auto" takes the first GPU that this MXNet can use, else the cpu. MXNet is imported only where there is a GPU
    to use, so that the number of threads can still be set for the cpu.

    Raises:
        DeviceError: the string is malformed, or a GPU was asked for that cannot be used.
    """
    request = parse(device)
    if request.kind == "cpu":
        return Choice(_name("cpu", request.ids), "asked for")
    gpus, problem = probe()
    if request.kind == "auto":
        return _automatic(gpus, problem)
    if problem is not None:
        raise DeviceError(f"Device {device!r} cannot be used because {problem}; use device 'cpu'.")
    for index in request.ids:
        _must_be_usable(gpus, index)
    unfit = _unfit(mxnet_build())
    if unfit is not None:
        raise DeviceError(f"Device {device!r} cannot be used because {unfit}")
    return Choice(_name("gpu", request.ids), "asked for")


def contexts(device: str) -> list[mx.Context]:
    """Return the MXNet contexts of a device that was chosen."""
    from bioclass.backend import mx

    request = parse(device)
    return [mx.Context(request.kind, index) for index in request.ids]


def _automatic(gpus: tuple[GPU, ...], problem: str | None) -> Choice:
    if problem is not None:
        return Choice("cpu", problem)
    usable = [index for index, gpu in enumerate(gpus) if _mismatch(gpu) is None]
    if not usable:
        return Choice("cpu", "; ".join(f"GPU {index} {_mismatch(gpu)}" for index, gpu in enumerate(gpus)))
    unfit = _unfit(mxnet_build())
    if unfit is not None:
        return Choice("cpu", unfit.removesuffix("."))
    first = gpus[usable[0]]
    return Choice(f"gpu:{usable[0]}", f"{first.name}, compute capability {_dotted(first.capability)}")


def _must_be_usable(gpus: tuple[GPU, ...], index: int) -> None:
    if index >= len(gpus):
        there = "gpu:0" if len(gpus) == 1 else f"gpu:0 to gpu:{len(gpus) - 1}"
        raise DeviceError(f"There is no GPU {index}: the driver knows {there}.")
    mismatch = _mismatch(gpus[index])
    if mismatch is not None:
        raise DeviceError(f"GPU {index} {mismatch}; use another GPU or device 'cpu'.")


def _mismatch(gpu: GPU) -> str | None:
    """Why MXNet has no code for this GPU, as half a sentence; None where it has."""
    if OLDEST <= gpu.capability <= NEWEST:
        return None
    age = "too new" if gpu.capability > NEWEST else "too old"
    return (
        f"({gpu.name}) has compute capability {_dotted(gpu.capability)}, {age} for MXNet 1.9.1, "
        f"which runs on {_dotted(OLDEST)} to {_dotted(NEWEST)}"
    )


def _unfit(build: Build) -> str | None:
    """Why the installed MXNet cannot use a GPU, with the mend and a full stop; None where it can."""
    if build.problem is not None or build.cuda:
        return build.problem
    return "the installed MXNet knows the cpu only: pip uninstall mxnet, then pip install 'bioclass[cu112]'."


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


def _name(kind: Literal["cpu", "gpu"], ids: tuple[int, ...]) -> str:
    return kind if (kind, ids) == ("cpu", (0,)) else f"{kind}:{','.join(map(str, ids))}"


def mxnet_build() -> Build:
    """Import MXNet and say whether it was built with CUDA."""
    try:
        from bioclass.backend import mx
    except MissingDependency as problem:
        return Build(cuda=False, problem=str(problem))
    return Build(cuda=bool(mx.runtime.Features().is_enabled("CUDA")))


def probe() -> Probe:
    """Ask the NVIDIA driver for its GPUs, in the order of CUDA's ids (CUDA_VISIBLE_DEVICES is honoured).

    No CUDA context is made, so a GPU's memory is not touched and other processes are not disturbed.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Probe((), "there is no NVIDIA driver on this machine (libcuda.so.1 cannot be loaded)")
    status = driver.cuInit(0)
    if status == 100:  # CUDA_ERROR_NO_DEVICE
        return Probe((), "the NVIDIA driver sees no GPU (is CUDA_VISIBLE_DEVICES set?)")
    if status != 0:
        return Probe((), f"the NVIDIA driver does not start (cuInit gave error {status}: reinstall it, or reboot)")
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    if version.value < OLDEST_DRIVER:
        known = f"{version.value // 1000}.{version.value % 1000 // 10}"
        return Probe(
            (), f"the NVIDIA driver knows CUDA {known} only, and MXNet needs 11.0 (driver 450.80 or newer)"
        )
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    if count.value == 0:
        return Probe((), "the NVIDIA driver sees no GPU (is CUDA_VISIBLE_DEVICES set?)")
    return Probe(tuple(_describe(driver, index) for index in range(count.value)))


def _describe(driver: ctypes.CDLL, index: int) -> GPU:
    handle, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    driver.cuDeviceGet(ctypes.byref(handle), index)
    driver.cuDeviceGetName(name, len(name), handle)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, handle)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, handle)
    return GPU(name.value.decode(errors="replace"), (major.value, minor.value))
