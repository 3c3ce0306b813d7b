"""A trained model in forms that other programs read: ONNX, MXNet's symbol, Gluon's parameters."""

from bioclass.export.gluon import READERS, export_gluon
from bioclass.export.whole import TOLERANCE, Exporting, export_onnx

__all__ = ["READERS", "TOLERANCE", "Exporting", "export_gluon", "export_onnx"]
