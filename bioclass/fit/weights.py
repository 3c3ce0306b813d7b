"""Pretrained weights, and how images are normalised for them: from GluonCV's store, a .params file or a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bioclass.errors import WeightsError
from bioclass.files import file_digest, sha256
from bioclass.fit.params import Tensors, parse_params
from bioclass.fit.store import stored_weights
from bioclass.recipe import Backbone, Network, Normalisation, own_normalisation
from bioclass.run import Run, holds_folds, holds_run, open_run

STORE = "gluoncv"
"""What network.weights says for the weights of GluonCV's store."""


@dataclass(frozen=True)
class Weights:
    """Weights by name, and how images must be normalised for them.

    Attributes:
        source: what network.weights says.
        path: the file, or the run folder.
        sha256: of the file; of a run that of the weights' file.
        read: returns the arrays by name; a file of them is read when they are wanted.
        normalisation: mean and standard deviation of each channel, of values between 0 and 1.
        classes: the names of the classes of a run; None for those of GluonCV.
    """

    source: str
    path: Path
    sha256: str
    read: Callable[[], Tensors]
    normalisation: Normalisation
    classes: tuple[str, ...] | None = None

    @cached_property
    def tensors(self) -> Tensors:
        """The arrays by name.

        Raises:
            WeightsError: the file is damaged.
        """
        return self.read()


def load_weights(spec: Network, folder: Path | None) -> Weights:
    """Return the weights that a recipe names, those of a file not yet read.

    A relative path is looked for from ``folder`` and from here. Those of bioclass's own networks come from runs
    alone: a file does not say how images are normalised for them.

    Raises:
        WeightsError: there are none, or they are of another network.
        RunError: the run folder is damaged, or has no weights yet.
    """
    source = spec.weights
    assert source is not None
    if not isinstance(spec, Backbone):
        return _of_run(spec, source, open_run(_run_folder(spec, source, folder)))
    path = stored_weights(spec.name) if source == STORE else _find(source, folder)
    if path.is_dir() and not holds_run(path):
        path = _in_folder(path, spec.name)
    if path.is_dir():
        return _of_run(spec, source, open_run(path))
    try:
        digest = file_digest(path)
    except OSError as problem:
        raise WeightsError(f"{path} cannot be read: {problem.strerror}.") from None
    return Weights(
        source, path, digest, lambda: parse_params(path.read_bytes(), path), own_normalisation(spec.name)
    )


def _find(source: str, folder: Path | None) -> Path:
    for start in (folder or Path(), Path()):
        path = start / Path(source).expanduser()
        if path.exists():
            return path
    raise WeightsError(
        f"There is no file or folder {source} for network.weights, which wants the path of a .params file or of a "
        f"run folder, or {STORE!r} for the weights of GluonCV's store."
    )


def _run_folder(spec: Network, source: str, folder: Path | None) -> Path:
    """The folder of a run, which is all that a network of bioclass can start from."""
    path = None if source == STORE else _find(source, folder)
    if path is None or not holds_run(path):
        raise WeightsError(
            f"network.weights of {spec.name!r} wants the path of a run folder of the same network: files of "
            f"weights are for the networks of GluonCV. Got {source!r}{_hint(path)}."
        )
    return path


def _in_folder(folder: Path, network: str) -> Path:
    path = folder / f"{network}.params"
    if not path.is_file():
        raise WeightsError(
            f"The folder {folder} of network.weights is not a run folder and has no {path.name}: put it there, or "
            f"name a file or another folder{_hint(folder)}."
        )
    return path


def _hint(path: Path | None) -> str:
    """The run that is probably meant, where a folder of folds is named."""
    return f" (it holds folds, each of them a run: {path / 'fold-0'})" if path and holds_folds(path) else ""


def _of_run(spec: Network, source: str, run: Run) -> Weights:
    if run.recipe.network.name != spec.name:
        raise WeightsError(
            f"The run {run.path} trained the network {run.recipe.network.name!r}, so its weights do not fit "
            f"{spec.name!r}: name a run of that, or set network.name."
        )
    plan, tensors = run.plan, run.best().tensors.get("weights")
    if tensors is None:
        raise WeightsError(f"{run.path / 'best'} holds no weights: it is not a checkpoint of bioclass.")
    if not all(np.isfinite(values).all() for values in tensors.values()):
        raise WeightsError(
            f"The weights of the run {run.path} are not finite, for its training diverged: name another run, or "
            "fit it again with a lower learning rate."
        )
    # Of values between 0 and 1, whatever the run divided them by.
    scale = plan.divisor / plan.largest
    mean, std = (tuple(scale * value for value in values) for values in (plan.mean, plan.std))
    digest = sha256(b"".join(name.encode() + tensors[name].tobytes() for name in sorted(tensors)))
    return Weights(source, run.path, digest, lambda: tensors, Normalisation(mean, std), run.classes)
