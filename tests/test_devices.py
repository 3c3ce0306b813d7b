import ctypes
import sys

import pytest

from bioclass import devices
from bioclass.devices import GPU, Build, Probe, choose, contexts, parse
from bioclass.errors import DeviceError, MissingDependency

A100 = GPU("NVIDIA A100", (8, 0))
L4 = GPU("NVIDIA L4", (8, 9))
H100 = GPU("NVIDIA H100", (9, 0))
K80 = GPU("Tesla K80", (3, 7))
NO_DRIVER = Probe((), "there is no NVIDIA driver on this machine")


@pytest.fixture
def machine(monkeypatch):
    def set_up(*gpus, problem=None, cuda=True, broken=None):
        monkeypatch.setattr(devices, "probe", lambda: Probe(gpus, problem))
        monkeypatch.setattr(devices, "mxnet_build", lambda: Build(cuda, broken))

    return set_up


@pytest.mark.parametrize(
    ("text", "kind", "ids"),
    [
        ("auto", "auto", ()),
        ("cpu", "cpu", (0,)),
        ("gpu", "gpu", (0,)),
        ("gpu:3", "gpu", (3,)),
        ("gpu:0,1", "gpu", (0, 1)),
        ("cpu:1,0", "cpu", (1, 0)),
    ],
)
def test_well_formed(text, kind, ids):
    assert parse(text) == (kind, ids)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("tpu", "did you mean '"),
        ("GPU", "did you mean 'gpu'?"),
        ("cuda:0", "did you mean 'gpu:0'?"),
        ("gpu:a", "did you mean 'gpu"),
        ("cpu:", "did you mean 'cpu'?"),
        ("gpu:-1", "did you mean 'gpu"),
        ("gpu:0,", "did you mean 'gpu:0"),
        ("auto:0", "did you mean 'auto'?"),
        ("gpu:0,0", "did you mean 'gpu:0'?"),
        ("gpu:1,0,1", "did you mean 'gpu:1,0'?"),
        ("", "Got ''."),
        ("quantum", "Got 'quantum'."),
    ],
)
def test_malformed(text, hint):
    with pytest.raises(DeviceError) as caught:
        choose(text)
    assert hint in str(caught.value) and repr(text) in str(caught.value)


def test_syntax_needs_no_mxnet(monkeypatch):
    monkeypatch.setitem(sys.modules, "bioclass.backend", None)
    assert parse("gpu:0,1").ids == (0, 1)
    with pytest.raises(DeviceError):
        choose("tpu")


def test_cpu_asks_no_driver(monkeypatch):
    monkeypatch.setattr(devices, "probe", lambda: pytest.fail("the driver was asked"))
    device, reason = choose("cpu:0,1")
    assert [str(context) for context in contexts(device)] == ["cpu(0)", "cpu(1)"]
    assert reason == "asked for"


def test_explicit_gpus(machine):
    machine(A100, L4)
    assert [str(context) for context in contexts(choose("gpu:1,0").device)] == ["gpu(1)", "gpu(0)"]


@pytest.mark.parametrize(
    ("device", "gpus", "options", "says"),
    [
        ("gpu", (), {"problem": NO_DRIVER.problem}, "no NVIDIA driver on this machine; use device 'cpu'"),
        ("gpu:2", (A100,), {}, "no GPU 2: the driver knows gpu:0."),
        ("gpu:0,5", (A100, L4), {}, "no GPU 5: the driver knows gpu:0 to gpu:1."),
        ("gpu:1", (A100, H100), {}, r"GPU 1 \(NVIDIA H100\) has compute capability 9.0, too new .* 5.0 to 8.9"),
        ("gpu", (K80,), {}, "compute capability 3.7, too old"),
        ("gpu", (A100,), {"cuda": False}, r"knows the cpu only: .* pip install 'bioclass\[cu112\]'"),
        ("gpu", (A100,), {"broken": "the library libcudnn.so.8 is missing: pip install it."}, "libcudnn.so.8"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_one_sentence(machine, device, gpus, options, says):
    machine(*gpus, **options)
    with pytest.raises(DeviceError, match=says) as caught:
        choose(device)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("gpus", "options", "context", "says"),
    [
        ((A100,), {}, "gpu(0)", "NVIDIA A100, compute capability 8.0"),
        ((H100, L4), {}, "gpu(1)", "NVIDIA L4, compute capability 8.9"),
        ((H100, K80), {}, "cpu(0)", "GPU 0 (NVIDIA H100) has compute capability 9.0, too new"),
        ((), {"problem": "there is no NVIDIA driver"}, "cpu(0)", "there is no NVIDIA driver"),
        ((A100,), {"cuda": False}, "cpu(0)", "the installed MXNet knows the cpu only"),
    ],
)
def test_auto_says_why(machine, gpus, options, context, says):
    machine(*gpus, **options)
    device, reason = choose("auto")
    assert [str(each) for each in contexts(device)] == [context]
    assert says in reason


def test_build_of_the_installed_mxnet(monkeypatch):
    from bioclass.backend import mx

    assert devices.mxnet_build() == Build(cuda=mx.runtime.Features().is_enabled("CUDA"))

    class Broken:
        def __getattr__(self, name):
            raise MissingDependency("MXNet is not installed: mend it.")

    monkeypatch.setitem(sys.modules, "bioclass.backend", Broken())
    assert devices.mxnet_build() == Build(cuda=False, problem="MXNet is not installed: mend it.")


class FakeDriver:
    """libcuda.so.1 as far as the probe calls it."""

    def __init__(self, *gpus, status=0, version=12020):
        self.gpus, self.status, self.version = gpus, status, version

    def cuInit(self, flags):  # noqa: N802
        return self.status

    def cuDriverGetVersion(self, out):  # noqa: N802
        out._obj.value = self.version

    def cuDeviceGetCount(self, out):  # noqa: N802
        out._obj.value = len(self.gpus)

    def cuDeviceGet(self, out, index):  # noqa: N802
        out._obj.value = index

    def cuDeviceGetName(self, out, size, handle):  # noqa: N802
        out.value = self.gpus[handle.value].name.encode()

    def cuDeviceGetAttribute(self, out, attribute, handle):  # noqa: N802
        out._obj.value = self.gpus[handle.value].capability[attribute - 75]


@pytest.mark.parametrize(
    ("driver", "gpus", "problem"),
    [
        (FakeDriver(A100, H100), (A100, H100), None),
        (FakeDriver(status=100), (), "sees no GPU"),
        (FakeDriver(), (), "sees no GPU"),
        (FakeDriver(status=803), (), "error 803"),
        (FakeDriver(A100, version=10020), (), "knows CUDA 10.2 only"),
    ],
)
def test_probe_reads_the_driver(monkeypatch, driver, gpus, problem):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    found = devices.probe()
    assert found.gpus == gpus
    assert (found.problem is None) if problem is None else (problem in found.problem)


def test_probe_without_a_driver(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert "no NVIDIA driver" in devices.probe().problem
