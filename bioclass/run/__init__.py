"""The run folder: everything that one fit decided and found, self-contained and safe to open.

``recipe.toml`` (fully resolved), ``card.toml``, ``split.csv`` (every id and its part), ``preprocess.json``,
``environment.json``, with their digests in ``manifest.json``; ``history.jsonl`` (a record an epoch) and
``times.jsonl`` (how long each took); the checkpoints ``best/``, ``last/`` and, where the recipe asks for snapshots,
``snapshots/01/`` and so on; ``evaluation/<part>/``.
Nothing in it is a pickle, and opening it executes nothing.
"""

from bioclass.run.create import create_run, locked, refuse_existing, refuse_other_recipe
from bioclass.run.folder import DOCUMENTS, Run, history_lines, holds_run, open_run
from bioclass.run.folds import Folds, create_folds, held_out_part, holds_folds, open_folds, refuse_existing_folds
from bioclass.run.split_table import SplitTable, check_part

__all__ = [
    "DOCUMENTS",
    "Folds",
    "Run",
    "SplitTable",
    "check_part",
    "create_folds",
    "create_run",
    "held_out_part",
    "history_lines",
    "holds_folds",
    "holds_run",
    "locked",
    "open_folds",
    "open_run",
    "refuse_existing",
    "refuse_existing_folds",
    "refuse_other_recipe",
]
