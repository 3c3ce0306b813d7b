"""The command line. Each verb has a file; only these rooms print."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import NoReturn

import typer

from bioclass.cli import (
    check,
    datasets,
    decide,
    draw,
    evaluate,
    explain,
    export,
    fit,
    network,
    predict,
    recipes,
    report,
    runs,
    serve,
    study,
)
from bioclass.errors import BioclassError

INTERRUPTED = 130
"""What Typer answers where Ctrl-C ended a command."""

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
app.command("report")(report.report)
app.command("decide")(decide.decide)
app.command("predict")(predict.predict)
app.command("explain")(explain.explain)
app.command("export")(export.export)
app.command("check")(check.check)
app.command("serve")(serve.serve)
app.command("study")(study.study)
app.command("runs")(runs.runs)
app.command("network")(network.network)
app.add_typer(draw.app, name="draw")
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
    with warnings.catch_warnings():
        if not sys.warnoptions:
            # Deprecations inside our dependencies are for us, not for users.
            warnings.simplefilter("ignore")
        _run()


def _run() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name may be any bytes, and a stream may know ASCII alone: neither is a reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        # The same name however it was started: `bioclass` or `python -m bioclass`.
        status = app(prog_name="bioclass", standalone_mode=False)
    except BioclassError as problem:
        _fail(str(problem), problem.exit_status)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped.")
    except BrokenPipeError:
        # The reader of our output has left, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        _fail(f"{where}{problem.strerror or problem}.")
    except MemoryError:
        _fail(
            "memory ran out. Lower fit.batch_size or preprocess.size, or let more of the images lie on "
            "disk with BIOCLASS_MEMORY_LIMIT (MiB)."
        )
    except Exception as problem:
        _fail_by_syntax(problem)
    if status == INTERRUPTED:
        _fail("stopped.")
    sys.exit(status)


def _fail_by_syntax(problem: Exception) -> NoReturn:
    """Say what is wrong with a command line; any other exception is a mistake of bioclass and goes on.

    Typer brings its own click since 0.20, so its errors are known by what they can do.
    """
    sentence = getattr(problem, "format_message", None)
    if sentence is None:
        raise problem
    if type(problem).__name__ == "NoArgsIsHelpError":
        problem.show()  # type: ignore[attr-defined]
        sys.exit(2)
    context = getattr(problem, "ctx", None)
    verb = context.command_path if context is not None else "bioclass"
    _fail(f"{sentence().rstrip('.')}. See: {verb} --help", 2)


def _fail(sentence: str, status: int = 1) -> NoReturn:
    print(f"bioclass: {sentence}", file=sys.stderr)
    sys.exit(status)
