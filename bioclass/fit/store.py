"""GluonCV's model store: weights by the name of their network, downloaded once and verified each time."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

from bioclass.backend import import_gluoncv
from bioclass.dataset import data_home, plain_mode, short_reason
from bioclass.errors import WeightsError

# GluonCV stores its pruned networks by their speed-up, and names them by what is left of their weights.
_PRUNED = {
    "resnet18_v1b_0.89": "resnet18_v1b_2.6x",
    "resnet50_v1d_0.86": "resnet50_v1d_1.8x",
    "resnet50_v1d_0.48": "resnet50_v1d_3.6x",
    "resnet50_v1d_0.37": "resnet50_v1d_5.9x",
    "resnet50_v1d_0.11": "resnet50_v1d_8.8x",
    "resnet101_v1d_0.76": "resnet101_v1d_1.9x",
    "resnet101_v1d_0.73": "resnet101_v1d_2.2x",
}


def stored_weights(network: str) -> Path:
    """Return the file of a network's weights in GluonCV's store, which is downloaded where it is not there yet.

    It is kept in ``weights`` of the data folder (BIOCLASS_DATA), and downloaded from GluonCV's address or from the
    mirror that GluonCV's own variable MXNET_GLUON_REPO names.

    Raises:
        WeightsError: the store has no weights of this network, or they cannot be downloaded.
    """
    store = import_gluoncv().model_zoo.model_store
    name = _PRUNED.get(network, f"{network}ls" if network.startswith("hrnet") else network)
    sha1 = store._model_sha1.get(name)
    if sha1 is None:
        raise WeightsError(
            f"GluonCV's store has no weights of {network!r}: set network.weights to a .params file or a run "
            "folder, or leave it out and train from the start."
        )
    folder = data_home() / "weights"
    path = folder / f"{name}-{sha1[:8]}.params"
    if path.is_file():
        if _sha1(path) != sha1:
            raise WeightsError(
                f"{path} is not the file of GluonCV's store, whose sha1 is {sha1}: remove it, and it is "
                "downloaded. Offline, put the right file there, or set network.weights to the path of your copy."
            )
        return path
    mirror = os.environ.get("MXNET_GLUON_REPO") or store.apache_repo_url
    address = store._url_format.format(repo_url=f"{mirror.rstrip('/')}/", file_name=path.stem)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(address, path, sha1)
    except Exception as problem:
        raise WeightsError(
            f"{path.name} could not be downloaded ({address}: {short_reason(problem)}). Offline? Put the file "
            f"{path.name} into {folder}, or set network.weights to the path of your copy."
        ) from None
    return path


def _fetch(address: str, path: Path, sha1: str) -> None:
    """Download a zip into a folder of its own beside ``path``, and move the verified file in it to its place."""
    import pooch

    pooch.get_logger().setLevel("ERROR")
    with tempfile.TemporaryDirectory(prefix=".download-", dir=path.parent) as folder:
        archive = pooch.retrieve(address, None, fname="content", path=folder)
        with zipfile.ZipFile(archive) as content:
            found = Path(content.extract(path.name, folder))
        if _sha1(found) != sha1:
            raise ValueError(f"its content has not the sha1 {sha1[:12]}...")
        plain_mode(found)
        found.replace(path)


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
