"""Images as a page shows them: PNG within an address."""

from __future__ import annotations

import base64
import importlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def data_url(pixels: Pixels, side: int | None = None) -> str:
    """Return pixels (H, W, 3) as the address of a PNG; the longer side is made ``side`` pixels where it is more."""
    image: Any = importlib.import_module("PIL.Image")
    picture = image.fromarray(pixels)
    if side is not None:
        picture.thumbnail((side, side))
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=3)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
