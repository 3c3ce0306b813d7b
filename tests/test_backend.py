import ctypes
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bioclass import backend
from bioclass.errors import MissingDependency

ROOT = Path(__file__).parents[1]


def run(code, path=None):
    """Run code in a fresh Python with warnings as errors; ``path`` is searched first for modules."""
    where = os.pathsep.join(str(each) for each in (path, ROOT) if each)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": where},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


SAY = """
from bioclass.errors import MissingDependency
try:
    import bioclass.backend as backend
    {then}
except MissingDependency as problem:
    print(problem)
"""


def fake(folder, **modules):
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code)
    return folder


def test_import_is_silent_and_numpy_aliases_are_back():
    code = (
        "from bioclass.backend import mx; import numpy as np;"
        "print(mx.__version__, np.bool is bool, np.int is int, mx.nd.array(np.ones(2)).sum().asscalar())"
    )
    assert run(code) == "1.9.1 True True 2.0"


def test_missing_mxnet_names_both_extras():
    block = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name == "mxnet":
            raise ModuleNotFoundError("No module named 'mxnet'", name="mxnet")
sys.meta_path.insert(0, Block())
"""
    assert run(block + SAY.format(then="pass")) == (
        "MXNet is not installed: pip install 'bioclass[cpu]' (without a GPU) "
        "or pip install 'bioclass[cu112]' (NVIDIA GPU)."
    )


@pytest.mark.parametrize(
    ("library", "mend"),
    [
        ("libcudart.so.11.0", "pip install nvidia-cuda-runtime-cu11==11.8.89."),
        ("libcudnn.so.8", "pip install nvidia-cudnn-cu11==8.9.6.50."),
        ("libcuda.so.1", "install the NVIDIA driver, or, without a GPU, use pip install 'bioclass[cpu]'."),
        ("libgomp.so.1", "install the system package libgomp1 (Debian, Ubuntu) or libgomp (Fedora)."),
        ("libquadmath.so.0", "install the system package libquadmath0 (Debian, Ubuntu) or libquadmath (Fedora)."),
        ("libgfortran.so.3", "pip install --force-reinstall --no-deps mxnet==1.9.1."),
        ("libodd.so.7", "install the system package that brings it."),
    ],
)
def test_missing_library_is_named_with_its_mend(monkeypatch, library, mend):
    def fail(name):
        raise OSError(f"{library}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(backend.importlib, "import_module", fail)
    with pytest.raises(MissingDependency) as caught:
        backend._import_mxnet()
    assert f"the library {library} is missing: " in str(caught.value)
    assert str(caught.value).endswith(mend)


def test_missing_cuda_library_in_a_fresh_python(tmp_path):
    broken = 'raise OSError("libcudart.so.11.0: cannot open shared object file: No such file or directory")'
    assert run(SAY.format(then="pass"), fake(tmp_path, mxnet=broken)) == (
        "MXNet cannot be imported because the library libcudart.so.11.0 is missing: "
        "pip install nvidia-cuda-runtime-cu11==11.8.89."
    )


@pytest.mark.parametrize(
    "problem", [ImportError("odd"), OSError("odd"), ModuleNotFoundError("odd", name="requests")]
)
def test_any_other_failure_of_mxnet_keeps_its_cause(monkeypatch, problem):
    def fail(name):
        raise problem

    monkeypatch.setattr(backend.importlib, "import_module", fail)
    with pytest.raises(MissingDependency, match=r"MXNet cannot be imported \(odd\): pip install"):
        backend._import_mxnet()


def test_python_without_distutils_asks_for_setuptools(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "setuptools", None)
    with pytest.raises(MissingDependency, match=r"setuptools on Python 3\.12"):
        backend._provide_distutils()


@pytest.fixture
def nvidia(tmp_path, monkeypatch):
    """A site-packages/nvidia with every library but cuRAND."""
    for library in backend.CUDA_LIBRARIES:
        if library.folder != "curand":
            path = tmp_path / library.folder / "lib" / library.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    real = importlib.util.find_spec
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: spec if name == "nvidia" else real(name))
    return tmp_path


def test_cuda_libraries_are_loaded_globally_in_order_of_dependency(nvidia, monkeypatch):
    loaded = []
    monkeypatch.setattr(ctypes, "CDLL", lambda path, mode: loaded.append((Path(path).name, mode)))
    monkeypatch.setattr(backend, "_version", lambda name: "1.9.1" if name == "mxnet-cu112" else None)
    monkeypatch.setattr(backend.importlib, "import_module", lambda name: name)
    assert backend._import_mxnet() == "mxnet"
    names = [name for name, mode in loaded if mode == ctypes.RTLD_GLOBAL]
    assert len(names) == 9 and "libcurand.so.10" not in names
    assert names.index("libcublasLt.so.11") < names.index("libcublas.so.11") < names.index("libcudnn.so.8")


def test_cpu_wheel_loads_no_cuda_library(nvidia, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: pytest.fail("a library was loaded"))
    monkeypatch.setattr(backend, "_version", lambda name: None)
    monkeypatch.setattr(backend.importlib, "import_module", lambda name: name)
    assert backend._import_mxnet() == "mxnet"


def test_damaged_cuda_library_is_named(nvidia):
    # an empty file is what a full disk leaves of a library
    with pytest.raises(MissingDependency, match=r"libcudart.so.11.0 cannot be loaded .*nvidia-cuda-runtime-cu11=="):
        backend._load_cuda_libraries()


def test_gluoncv_without_libgl_names_the_mend(tmp_path):
    broken = 'raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")'
    said = run(SAY.format(then="backend.import_gluoncv()"), fake(tmp_path, mxnet="", gluoncv=broken))
    assert said == (
        "GluonCV cannot be imported because the library libGL.so.1 is missing: "
        "pip install --force-reinstall --no-deps opencv-python-headless, "
        "or install the system package libgl1 (Debian, Ubuntu)."
    )


def test_gluoncv_beside_torch_2(tmp_path):
    said = run(SAY.format(then="backend.import_gluoncv()"), fake(tmp_path, torch='__version__ = "2.1.0"'))
    assert said.startswith("GluonCV 0.10 refuses to be imported beside torch")


def test_gluoncv_is_imported_silently():
    code = (
        "from bioclass.backend import import_gluoncv;"
        "print(import_gluoncv().model_zoo.get_model('cifar_resnet20_v1').name)"
    )
    assert run(code).startswith("cifarresnet")


def test_gluoncv_does_not_let_images_be_cut_short():
    code = (
        "from PIL import ImageFile; from bioclass.backend import import_gluoncv;"
        "import_gluoncv(); print(ImageFile.LOAD_TRUNCATED_IMAGES)"
    )
    assert run(code).strip() == "False"


def test_missing_gluoncv_names_the_extras(monkeypatch):
    monkeypatch.setitem(sys.modules, "gluoncv", None)
    with pytest.raises(MissingDependency, match=r"GluonCV is not installed: pip install 'bioclass\[cpu\]'"):
        backend.import_gluoncv()
