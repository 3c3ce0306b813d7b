"""A run's network in MXNet's own files."""

from __future__ import annotations

import json
from pathlib import Path

from bioclass import __version__
from bioclass.backend import mx
from bioclass.export.graph import network
from bioclass.files import write_atomic
from bioclass.predict import input_shape
from bioclass.run import Run
from bioclass.run.create import whole_folder

READERS = {
    "symbol": "mxnet.gluon.SymbolBlock.imports('model-symbol.json', ['data'], 'model-0000.params')",
    "params": "load_parameters('model.params') of the same Gluon network, as bioclass.networks.build gives it",
}


def export_gluon(run: Run, to: str, folder: Path) -> list[Path]:
    """Write a folder with a run's network and ``model.json``, which says its classes and what it is given.

    "symbol" is MXNet's graph with its parameters, which any MXNet 1.x reads without bioclass; "params" are the
    parameters alone. The network takes images as ``plan`` in model.json prepares them, and gives raw scores.

    Raises:
        RunError: the run has no weights, or the folder exists or cannot be written.
    """
    net = network(run)
    with whole_folder(folder, "folder") as temporary:
        if to == "params":
            net.save_parameters(str(temporary / "model.params"))
        else:
            net.hybridize()
            net(mx.nd.zeros((1, *input_shape(run.plan))))
            net.export(str(temporary / "model"), epoch=0)
        document = {
            "bioclass": __version__,
            "dataset": run.card.name,
            "recipe": run.recipe.digest(),
            "network": run.recipe.network.model_dump(mode="json"),
            "classes": run.classes,
            "input": ["batch", *input_shape(run.plan)],
            "output": "raw scores, one a class: softmax makes them probabilities",
            "plan": run.plan.model_dump(mode="json"),
            "read_with": READERS[to],
        }
        write_atomic(temporary / "model.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return sorted(folder.iterdir())
