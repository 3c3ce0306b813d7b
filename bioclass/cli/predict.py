"""``bioclass predict``."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bioclass.cli.common import Device, Json, print_json, say
from bioclass.errors import ImageError, InputError


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Image files, or folders of them.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the table to this CSV file.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Classify new images: a table with a row a file, with the run's own preprocessing."""
    from bioclass.devices import choose, contexts
    from bioclass.environment import available_cores, set_threads
    from bioclass.run import open_run

    opened = open_run(run)
    files, missing = _files(paths)
    name, _ = choose(device)
    set_threads(available_cores())
    from bioclass.predict import Predictor

    predictor = Predictor(opened, contexts(name)[0])
    rows: list[dict[str, Any]] = []
    failed = [(path, ImageError(f"There is no file {path}.")) for path in missing]
    for file, answer in predictor.files(files):
        if isinstance(answer, ImageError):
            failed.append((file, answer))
            continue
        best = int(answer.argmax())
        row = {"path": str(file), "class": opened.classes[best], "probability": float(answer[best])}
        rows.append({**row, **{f"p_{c}": float(p) for c, p in zip(opened.classes, answer, strict=True)}})
    for _, problem in failed:
        say(f"bioclass: {problem}")
    if failed:
        say(f"{len(failed)} of {len(failed) + len(rows)} files could not be used.")
    if not rows:
        raise InputError(f"None of the {len(failed)} files could be classified.")
    _write(rows, failed, out, as_json)


def _files(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return the image files that are meant, and the paths that do not exist."""
    from bioclass.images import find_images

    files: list[Path] = []
    missing = []
    for path in paths:
        if path.is_dir():
            found = find_images(path)
            if not found:
                raise InputError(f"The folder {path} holds no image files.")
            files.extend(found)
        elif path.exists():
            files.append(path)
        else:
            missing.append(path)
    return files, missing


def _write(
    rows: list[dict[str, Any]], failed: list[tuple[Path, ImageError]], out: Path | None, as_json: bool
) -> None:
    from bioclass.files import write_atomic

    if as_json:
        print_json({"images": rows, "failed": [{"path": str(path), "error": str(error)} for path, error in failed]})
        return
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    if out is None:
        sys.stdout.write(table.getvalue())
        return
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}.")
    write_atomic(out, table.getvalue())
    say(f"Wrote {len(rows)} rows to {out}")
