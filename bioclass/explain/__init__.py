"""What a trained network looks at: heat over images, its filters and feature maps, how it arranges images."""

from bioclass.explain.explainer import Explainer
from bioclass.explain.heat import overlay, to_file

__all__ = ["Explainer", "overlay", "to_file"]
