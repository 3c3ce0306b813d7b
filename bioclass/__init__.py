"""bioclass: classify biomedical and scientific images, with results to publish and trust."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioclass.samples import Samples

__all__ = ["Samples", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load ``Samples`` when an adapter asks for it: numpy has no part in ``bioclass --help``."""
    if name == "Samples":
        from bioclass.samples import Samples

        return Samples
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
