"""An exported model, an ONNX file that bioclass wrote: it predicts without its run folder and without MXNet.

What surrounds the network, and what was measured when it was exported, stands in the file's metadata, all text.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.answers import Answers, Probabilities, answer_files, batch_of, batch_size, softmax
from bioclass.environment import available_cores
from bioclass.errors import BioclassError, MissingDependency, RunError
from bioclass.files import sha256
from bioclass.preprocess import Plan, centred
from bioclass.recipe import Predict

FORMAT = "bioclass onnx 1"
UNSEALED = "the digest of this file, with these words in its place".ljust(64, ".")
"""Stands in the metadata where the digest will, which is as long: the file can then be checked without a parser."""


class Exported:
    """A graph that ONNX Runtime computes on the processor, and the images it is for.

    Attributes:
        metadata: what the file says, by key.
        plan: how images are read, and what they are before the graph.
        classes: in the order of the probabilities.
        predict: from which copies of an image the graph predicts.
        synthetic: whether it was trained on synthetic images.
    """

    def __init__(self, session: Any, plan: Plan, classes: Sequence[str]) -> None:
        self._session = session
        self._output = session.get_outputs()[-1].name  # scores, where there are some: softmax is then in float64
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self.plan = plan
        self.classes = tuple(classes)
        self.predict = Predict(**json.loads(self.metadata["predict"]))
        self.synthetic: bool = json.loads(self.metadata["synthetic"])
        self._outside: list[str] = json.loads(self.metadata["outside"])
        # The graph holds images in float64 before it centres them, when they may be larger than after.
        size = min(batch_size(plan), batch_of(plan.size[0] * plan.size[1] * plan.channels))
        self._batch = max(1, size // len(self.predict.copies))

    def probabilities(self, images: npt.NDArray[Any]) -> Probabilities:
        """Return the probabilities (N, K) of stored images (N, H, W, C); N may be 0."""
        if self.plan.center is not None and "center" in self._outside:
            images = centred(images, self.plan.center, self.plan.largest)
        size = self._batch
        parts = [self._computed(images[start : start + size]) for start in range(0, len(images), size)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)))

    def files(self, paths: Sequence[Path]) -> Answers:
        """Yield every file with its probabilities (K,), or with the error for which it could not be used."""
        return answer_files(self.probabilities, self.plan, paths, self._batch)

    def _computed(self, images: npt.NDArray[Any]) -> Probabilities:
        values = self._session.run([self._output], {"images": images})[0]
        return softmax(values) if self._output == "scores" else values.astype(np.float64)


def open_exported(path: Path) -> Exported:
    """Open an ONNX file that bioclass wrote.

    Raises:
        RunError: it is missing, damaged, or was not written by bioclass.
        MissingDependency: ONNX Runtime is not installed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"There is no file {path}.") from None
    except OSError as problem:
        raise RunError(f"{path} cannot be read: {problem.strerror}.") from None
    mend = "copy it again, or export the run again with `bioclass export`"
    try:
        session = open_session(data)
    except BioclassError:
        raise
    except Exception:  # ONNX Runtime has many, for the many ways in which bytes can be wrong.
        raise RunError(f"{path} is damaged, or no ONNX model: {mend}.") from None
    metadata = session.get_modelmeta().custom_metadata_map
    written = metadata.get("format", "")
    if not written.startswith("bioclass onnx "):
        raise RunError(
            f"{path} was not written by `bioclass export`: its metadata does not say its classes and how its "
            "images are read."
        )
    if written != FORMAT:
        raise RunError(f"{path} was written as {written!r}; this bioclass reads {FORMAT!r}.")
    digest = metadata.get("digest", "")
    if len(digest) != 64 or sha256(data.replace(digest.encode(), UNSEALED.encode(), 1)) != digest:
        raise RunError(f"{path} is damaged or was edited: its content does not fit its digest. To mend it, {mend}.")
    return Exported(session, Plan.from_json(metadata["plan"]), json.loads(metadata["classes"]))


def seal(data: bytes) -> bytes:
    """Put the digest of a model's bytes where the model says ``UNSEALED``."""
    return data.replace(UNSEALED.encode(), sha256(data).encode(), 1)


def open_session(graph: bytes) -> Any:
    """Return a session of ONNX Runtime for the bytes of a model; MissingDependency as ``open_runtime``."""
    runtime = open_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.log_severity_level = 4  # Fatal ones alone: whatever else goes wrong is said by an exception.
    return runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def exported_file(path: Path) -> Path:
    """Return where ``bioclass export`` puts the ONNX file of a run, or of folds, if it is not told otherwise."""
    return path / "export" / "model.onnx"


def open_runtime() -> Any:
    """Import ONNX Runtime and return the module.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as problem:
        raise MissingDependency(
            f"Exported models need ONNX Runtime ({problem}): pip install 'bioclass[onnx]'."
        ) from None
