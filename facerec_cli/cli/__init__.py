"""The ``facerec`` program: one thin module a command, each of them parse, one library call, render.

Nothing here imports more than typer and rich, and a command's module is imported only when that command is
asked for, so that ``facerec --help`` stays as fast with twenty commands as with one.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer

from facerec_cli.errors import FacerecError, OutputError, ResourceError
from facerec_cli.spelling import american

# Names of flags and their values may be typed in either spelling; help shows ours only.
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "token_normalize_func": american}

# name -> (where its function or its group of commands is, the line that `facerec --help` shows)
COMMANDS: Mapping[str, tuple[str, str]] = {
    "embed": (
        "facerec_cli.cli.embed:embed",
        "Turn photos into embeddings: one row for every face, and a status for every photo.",
    ),
    "verify": ("facerec_cli.cli.verify:verify", "Measure a model on labeled pairs, or compare two photos."),
    "train": (
        "facerec_cli.cli.train:train",
        "Train a face recognition network, or adapt one to your own photos.",
    ),
    "study": (
        "facerec_cli.cli.study:study",
        "Compare losses on your own photos: train each with several seeds, judge by people never trained on.",
    ),
    "export": (
        "facerec_cli.cli.export:export",
        "Write a checkpoint as an ONNX file that carries its manifest and is proved to compute the same.",
    ),
    "models": ("facerec_cli.cli.models:app", "List, show, add, pull, remove and check models."),
    "data": (
        "facerec_cli.cli.data:app",
        "Look at training data, check it, convert it, align it, make verification sets of it.",
    ),
    "bench": (
        "facerec_cli.cli.bench:bench",
        "Measure images a second on this machine, and recommend threads and batch size.",
    ),
    "doctor": (
        "facerec_cli.cli.doctor:doctor",
        "Say what works on this machine, and how to mend what does not.",
    ),
}


def build_app(loaded: Iterable[str] = COMMANDS) -> typer.Typer:
    """The program, with the commands in ``loaded`` imported and the others known by name and help only."""
    from facerec_cli.cli.front import Front

    app = typer.Typer(
        name="facerec",
        cls=Front,
        help="Train face recognition models on hard samples, export them to ONNX, embed photos, "
        "and verify pairs with an error rate you can trust.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
    )
    app.callback()(_root)
    imported = set(loaded)
    for name, (place, line) in COMMANDS.items():
        if name not in imported:
            app.command(name, help=line)(_not_loaded)
            continue
        module, _, attribute = place.partition(":")
        target = getattr(import_module(module), attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name)
        else:
            app.command(name)(target)
    return app


def main() -> None:
    """Run the program; the entry point of the console script."""
    from facerec_cli.cli.streams import lose_output, prepare_streams

    prepare_streams()
    words = sys.argv[1:]
    if any(name.endswith("FACEREC_COMPLETE") for name in os.environ):  # a shell asks what may follow
        words = (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or "").split()[1:]
    first = next((word for word in words if not word.startswith("-")), "")
    try:
        build_app([first])()
    except SystemExit as end:
        if end.code == ResourceError.exit_code:
            _leave(ResourceError.exit_code)
        raise
    except FacerecError as fault:  # of --version: a command ends its own faults
        if "--debug" in sys.argv:
            raise
        lose_output()
        sys.stderr.write(f"error: {fault}\n")
        sys.exit(fault.exit_code)
    except OSError as fault:  # of help: a command ends its own faults, unless --debug asks for the traceback
        if "--debug" in sys.argv:
            raise
        lose_output()
        sys.stderr.write(f"error: The help cannot be written to standard output: {fault.strerror}.\n")
        sys.exit(OutputError.exit_code)


def _leave(code: int) -> None:
    """End a program that lacks memory or threads, also where a thread of a library now waits for ever.

    Python would wait for that thread as long. The fault is on stderr by now, and files are whole or absent.
    """
    deadline = time.monotonic() + 5
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)


def _version(asked: bool) -> None:
    if asked:
        from facerec_cli.cli.console import result
        from facerec_cli.runtime import version_report

        result(version_report())
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the versions that matter."),
    ] = False,
) -> None: ...


def _not_loaded() -> None:
    """Stand in for a command that this call did not ask for."""
    raise AssertionError("main() loads the command that it runs")


def __getattr__(name: str) -> Any:
    """``app``, the whole program with every command loaded, for documents and tests."""
    if name == "app":
        return build_app()
    raise AttributeError(name)
