"""The options of ``bioclass predict`` for images that are cut into tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bioclass.errors import InputError

if TYPE_CHECKING:
    from bioclass.preprocess import Plan
    from bioclass.tiles import Tiling


def parse_tiles(size: str | None, overlap: float | None) -> Tiling | None:
    """Return what --tiles and --overlap ask for, None without them; InputError where they are wrong."""
    if size is None:
        if overlap is not None:
            raise InputError("--overlap is the one of tiles: give their size too, for example --tiles 224.")
        return None
    parts = size.split(",")
    if len(parts) > 2 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"--tiles wants pixels, height or height,width, for example 224 or 96,128. Got {size!r}.")
    if not 0 <= (overlap or 0) < 1:
        raise InputError(f"--overlap must be a share from 0 to below 1, for example 0.5. Got {overlap}.")
    from bioclass.tiles import Tiling

    return Tiling(int(parts[0]), int(parts[-1]), overlap or 0.0)


def check_tiles(tiling: Tiling, plan: Plan, model: Path) -> None:
    """Refuse tiles of another size than the images of a training that did not resize."""
    height, width = plan.size
    if plan.resize is None and (tiling.height, tiling.width) != plan.size:
        wanted = f"{height}" if height == width else f"{height},{width}"
        raise InputError(
            f"{model} was trained on images of {height} x {width} pixels without resizing: its tiles are --tiles "
            f"{wanted}. Got {tiling.height} x {tiling.width}."
        )
