"""The one door to MXNet and GluonCV: ``from bioclass.backend import mx``.

MXNet 1.9.1 (2022) is the last release. What it needs from numpy, Python and the system is put in place here,
before it is imported, and what is missing is said in one sentence. Importing this module imports MXNet
(1 to 4 seconds), so only the rooms that compute with it do.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse

from bioclass.errors import MissingDependency

if TYPE_CHECKING:
    import mxnet as mx

__all__ = ["import_amp", "import_gluoncv", "import_onnx_translator", "mx"]

INSTALL = "pip install 'bioclass[cpu]' (without a GPU) or pip install 'bioclass[cu112]' (NVIDIA GPU)"


class CudaLibrary(NamedTuple):
    """A CUDA 11 library that the mxnet-cu112 wheel is linked against, and the pip package that brings it."""

    folder: str  # under site-packages/nvidia/
    name: str
    package: str


# In dependency order: cuBLAS needs cuBLASLt, cuSOLVER and cuDNN need cuBLAS.
CUDA_LIBRARIES = (
    CudaLibrary("cuda_runtime", "libcudart.so.11.0", "nvidia-cuda-runtime-cu11==11.8.89"),
    CudaLibrary("nvtx", "libnvToolsExt.so.1", "nvidia-nvtx-cu11==11.8.86"),
    CudaLibrary("cuda_nvrtc", "libnvrtc.so.11.2", "nvidia-cuda-nvrtc-cu11==11.8.89"),
    CudaLibrary("cublas", "libcublasLt.so.11", "nvidia-cublas-cu11==11.11.3.6"),
    CudaLibrary("cublas", "libcublas.so.11", "nvidia-cublas-cu11==11.11.3.6"),
    CudaLibrary("cufft", "libcufft.so.10", "nvidia-cufft-cu11==10.9.0.58"),
    CudaLibrary("curand", "libcurand.so.10", "nvidia-curand-cu11==10.3.0.86"),
    CudaLibrary("cusolver", "libcusolver.so.11", "nvidia-cusolver-cu11==11.4.1.48"),
    CudaLibrary("cudnn", "libcudnn.so.8", "nvidia-cudnn-cu11==8.9.6.50"),
    CudaLibrary("nccl", "libnccl.so.2", "nvidia-nccl-cu11==2.21.5"),
)

# Other libraries by the start of their name, with the mend.
_SYSTEM_LIBRARIES = {
    "libcuda.": "install the NVIDIA driver, or, without a GPU, use pip install 'bioclass[cpu]'",
    "libgomp.": "install the system package libgomp1 (Debian, Ubuntu) or libgomp (Fedora)",
    "libquadmath.": "install the system package libquadmath0 (Debian, Ubuntu) or libquadmath (Fedora)",
    "libgfortran.": "MXNet's wheel brings it: pip install --force-reinstall --no-deps mxnet==1.9.1",
    "libGL.": "pip install --force-reinstall --no-deps opencv-python-headless, "
    "or install the system package libgl1 (Debian, Ubuntu)",
}


def import_amp() -> Any:
    """Import MXNet's mixed precision, which it does not load by itself, and return the module."""
    return importlib.import_module("mxnet.contrib.amp")


def import_gluoncv() -> Any:
    """Import GluonCV (2 seconds) and return the module.

    Raises:
        MissingDependency: GluonCV or a library it needs is missing, or torch >= 2 stands in its way.
    """
    try:
        with _quiet(), _pillow_as_it_is():
            return importlib.import_module("gluoncv")
    except ModuleNotFoundError as problem:
        if problem.name == "gluoncv":
            raise MissingDependency(f"GluonCV is not installed: {INSTALL}.") from None
        raise MissingDependency(f"GluonCV cannot be imported ({problem}): {INSTALL}.") from None
    except ImportError as problem:
        sentence = _library_sentence("GluonCV", str(problem))
        raise MissingDependency(sentence or f"GluonCV cannot be imported ({problem}): {INSTALL}.") from None
    except RuntimeError as problem:
        if "torch" not in str(problem):
            raise
        raise MissingDependency(
            f"GluonCV 0.10 refuses to be imported beside torch {_version('torch') or '>= 2'}: "
            "pip uninstall torch, or keep torch in an environment of its own."
        ) from None


def import_onnx_translator() -> Any:
    """Return MXNet's translator of symbols to ONNX graphs, the class ``MXNetGraph``, ready for onnx of today.

    Raises:
        MissingDependency: onnx is not installed, or is broken.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as problem:
        raise MissingDependency(
            f"Export to ONNX needs the package onnx ({problem}): pip install 'bioclass[onnx]'."
        ) from None
    if "onnx.mapping" not in sys.modules:
        # Gone in onnx 1.19; MXNet looks up two tables of types there.
        kinds = ("float16", "float32", "float64", "bool", "int8", "int32", "int64", "uint8")
        numbers = {np.dtype(kind): onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind)) for kind in kinds}
        tables = {
            "NP_TYPE_TO_TENSOR_TYPE": numbers,
            "TENSOR_TYPE_TO_NP_TYPE": {number: kind for kind, number in numbers.items()},
        }
        onnx.mapping = sys.modules["onnx.mapping"] = SimpleNamespace(**tables)  # type: ignore[assignment]
    translator = importlib.import_module("mxnet.onnx.mx2onnx._export_onnx").MXNetGraph
    # MXNet's own translator has every operation of the shipped networks but this one.
    translator.register("erf")(_translate_erf)
    translator.register("null")(_translate_null)
    return translator


def _translate_null(node: dict[str, Any], **state: Any) -> tuple[list[Any], tuple[Any]]:
    """Translate an input or a weight; MXNet's own makes a Python number of every value, which takes minutes."""
    onnx: Any = importlib.import_module("onnx")
    kinds = onnx.mapping
    if state["is_input"]:
        kind, shape = state["in_type"], state["in_shape"]
    else:
        weight = state["weights"][node["name"]]
        kind, shape = kinds.NP_TYPE_TO_TENSOR_TYPE[weight.dtype], weight.shape
        state["initializer"].append(onnx.numpy_helper.from_array(weight, node["name"]))
    value = onnx.helper.make_tensor_value_info(node["name"], kind, shape)
    return [value], (kinds.TENSOR_TYPE_TO_NP_TYPE[kind],)


def _translate_erf(node: dict[str, Any], **state: Any) -> list[Any]:
    place, output = node["inputs"][0][:2]
    source = state["outputs_lookup"][place][output].name
    return [importlib.import_module("onnx").helper.make_node("Erf", [source], [node["name"]], name=node["name"])]


def _import_mxnet() -> Any:
    _restore_numpy_aliases()
    _keep_scipy_name()
    with _quiet():
        _provide_distutils()
        if _version("mxnet-cu112") is not None:
            _load_cuda_libraries()
        try:
            return _without_greeting(importlib.import_module("mxnet"))
        except ModuleNotFoundError as problem:
            if problem.name == "mxnet":
                raise MissingDependency(f"MXNet is not installed: {INSTALL}.") from None
            raise MissingDependency(f"MXNet cannot be imported ({problem}): {INSTALL}.") from None
        except (ImportError, OSError) as problem:
            sentence = _library_sentence("MXNet", str(problem))
            raise MissingDependency(sentence or f"MXNet cannot be imported ({problem}): {INSTALL}.") from None


def _without_greeting(mxnet: Any) -> Any:
    """Start an engine that is not the default: MXNet then greets on stderr, past Python's own stream."""
    if os.environ.get("MXNET_ENGINE_TYPE") is None:
        return mxnet
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        mxnet.nd.waitall()
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
    return mxnet


def _restore_numpy_aliases() -> None:
    """Put back the aliases of Python's types that numpy 1.24 removed; MXNet and GluonCV use them at run time."""
    for builtin in (bool, int, float, object, str):
        # Not hasattr: numpy answers that with a FutureWarning for some of these names.
        if builtin.__name__ not in vars(np):
            setattr(np, builtin.__name__, builtin)


def _keep_scipy_name() -> None:
    """Every ``mx.nd.array`` looks up ``scipy.sparse.csr.csr_matrix``: deprecated, and gone in scipy 2."""
    scipy.sparse.csr = SimpleNamespace(csr_matrix=scipy.sparse.csr_matrix)


def _provide_distutils() -> None:
    """Python 3.12 has no distutils; importing setuptools puts its own copy in place."""
    if importlib.util.find_spec("distutils") is not None:
        return
    try:
        importlib.import_module("setuptools")
    except ModuleNotFoundError:
        raise MissingDependency(
            "MXNet needs setuptools on Python 3.12 and newer: pip install 'setuptools>=69,<81'."
        ) from None


def _load_cuda_libraries() -> None:
    """Load NVIDIA's pip libraries into the process, so that MXNet finds them without LD_LIBRARY_PATH.

    One that is not there is left to the system's loader, which may know a system-wide CUDA.
    """
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in (spec.submodule_search_locations if spec else None) or ()]
    for library in CUDA_LIBRARIES:
        for root in roots:
            path = root / library.folder / "lib" / library.name
            if path.exists():
                try:
                    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
                except OSError as problem:
                    raise MissingDependency(
                        f"The CUDA library {path} cannot be loaded ({problem}): "
                        f"pip install --force-reinstall {library.package}."
                    ) from None
                break


def _library_sentence(who: str, problem: str) -> str | None:
    """Name the shared library in the loader's message and its mend, or None where the message names none."""
    found = re.search(r"(lib[\w+.-]+?\.so[\w.]*): cannot open shared object file", problem)
    if found is None:
        return None
    name = found[1]
    packages = [library.package for library in CUDA_LIBRARIES if library.name == name]
    mends = [mend for start, mend in _SYSTEM_LIBRARIES.items() if name.startswith(start)]
    mend = f"pip install {packages[0]}" if packages else (mends or ["install the system package that brings it"])[0]
    return f"{who} cannot be imported because the library {name} is missing: {mend}."


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what old packages warn of while they are imported; the user can mend none of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _pillow_as_it_is() -> Iterator[None]:
    """Put back what GluonCV sets for the whole process: that images which are cut short are read without a word."""
    from PIL import ImageFile

    before = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


if not TYPE_CHECKING:
    mx = _import_mxnet()
