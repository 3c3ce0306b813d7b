"""The command line. Each verb has a file; only these rooms print."""

from __future__ import annotations

import os
import sys
import warnings

import typer

from bioclass.cli import datasets, evaluate, fit, network, predict, recipes, runs
from bioclass.errors import BioclassError

app = typer.Typer(
    name="bioclass",
    help="Classify biomedical and scientific images, with results to publish and trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: bioclass fit digits-lenet, then: bioclass evaluate runs/digits-lenet",
)
app.command("fit")(fit.fit)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("runs")(runs.runs)
app.command("network")(network.network)
app.add_typer(datasets.app, name="datasets")
app.add_typer(recipes.app, name="recipes")


def _version(value: bool) -> None:
    if value:
        from bioclass import __version__

        print(f"bioclass {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Classify biomedical and scientific images, with results to publish and trust."""


def main() -> None:
    """Run the command line; a user's mistake ends in its sentence, never in a traceback."""
    if not sys.warnoptions:
        # Deprecations inside our dependencies are for us, not for users.
        warnings.simplefilter("ignore")
    try:
        app()
    except BioclassError as problem:
        print(f"bioclass: {problem}", file=sys.stderr)
        sys.exit(problem.exit_status)
    except KeyboardInterrupt:
        print("bioclass: stopped.", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has left, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        print(f"bioclass: {where}{problem.strerror or problem}.", file=sys.stderr)
        sys.exit(1)
    except MemoryError:
        print(
            "bioclass: memory ran out. Lower fit.batch_size or preprocess.size, or let more of the images lie on "
            "disk with BIOCLASS_MEMORY_LIMIT (MiB).",
            file=sys.stderr,
        )
        sys.exit(1)
