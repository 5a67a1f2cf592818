"""A machine that has run out of something is told apart from a fault of facerec and from a bad input."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from facerec_cli.cli.command import command
from facerec_cli.resources import resource_error


class ForeignError(Exception):
    """As a library's own error, which is no RuntimeError."""


ForeignError.__module__ = "onnxruntime.capi.onnxruntime_pybind11_state"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (MemoryError(), "There is not enough memory."),
        (MemoryError("Unable to allocate 9 GiB"), "There is not enough memory: Unable to allocate 9 GiB."),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "There is not enough memory"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many files are open"),
        (OSError(errno.ENOENT, "No such file"), ""),
        (RuntimeError("can't start new thread"), "No further thread can be started here."),
        (RuntimeError("Exception caught: std::bad_alloc"), "There is not enough memory"),
        (ImportError("libx.so: failed to map segment from shared object"), "There is not enough memory"),
        (ImportError("No module named 'x'"), ""),
        (ForeignError("Failed to allocate memory for requested buffer"), "There is not enough memory"),
        (ValueError("out of memory, says a photo's name"), ""),
        (RuntimeError("a fault of ours"), ""),
    ],
)
def test_what_means_that_the_machine_is_short_of_something(fault: Exception, message: str) -> None:
    found = resource_error(fault)
    assert (found.message if found else "").startswith(message) and (found is None) == (not message)


def test_a_command_without_memory_ends_with_its_code() -> None:
    @command
    def body() -> None:
        raise MemoryError("Unable to allocate 9 GiB")

    app = typer.Typer()
    app.command()(body)
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 9
    assert "not enough memory" in done.stderr and "fault of facerec" not in done.stderr


def test_a_question_that_is_not_answered_ends_like_an_interrupt() -> None:
    """No command ends with code 1, which the page of codes does not have."""

    @command
    def body() -> None:
        typer.confirm("Do you agree?", err=True)

    app = typer.Typer()
    app.command()(body)
    done = CliRunner().invoke(app, [], input="")
    assert done.exit_code == 130 and "before the question was answered" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space, which only Linux holds to")
@pytest.mark.parametrize("mega", [300, 500, 700, 900, 1200])
def test_under_a_limit_of_memory_embed_ends_and_is_not_at_fault(
    mega: int, repository: Path, tmp_path: Path
) -> None:
    """However far it comes. Where a library aborts the process, nothing of ours is asked any more."""
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({mega} << 20,) * 2)\n"
        "from facerec_cli.cli import main; main()"
    )
    photos = repository / "examples" / "photos"
    words = [sys.executable, "-c", program, "embed", str(photos), "-o", str(tmp_path / "out.npy")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode != 70 and "fault of facerec" not in done.stderr, done.stderr
    assert "force-reinstall" not in done.stderr  # nothing is wrong with what is installed
