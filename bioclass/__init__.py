"""bioclass: classify biomedical and scientific images, with results to publish and trust."""

__version__ = "0.1.0"
