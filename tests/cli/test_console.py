"""The error contract: what a fault prints where, and the exit code that it gives."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from facerec_cli import errors

PROGRAM = """
import typer
from typing import Annotated
from facerec_cli.cli.command import command
from facerec_cli.cli.console import note, result, warn
from facerec_cli import errors
app = typer.Typer(pretty_exceptions_enable=False)
@app.command()
@command
def go(json_output: Annotated[bool, typer.Option("--json", help="x")] = False) -> None:
    note("a note"); warn("a warning"); result("a result")
    {body}
app()
"""


def _run(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = PROGRAM.format(body=body)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("errors.FacerecError('it broke.')", 1),
        ("errors.UsageError('it broke.')", 2),
        ("errors.InputError('it broke.')", 3),
        ("errors.ModelError('it broke.')", 4),
        ("errors.PartialFailure('it broke.')", 5),
        ("errors.MissingExtraError('pyarrow', extra='parquet', purpose='it broke:')", 6),
        ("errors.TrainingError('it broke.')", 7),
        ("KeyboardInterrupt('it broke')", errors.EXIT_INTERRUPTED),
        ("ZeroDivisionError('it broke')", errors.EXIT_BUG),
    ],
)
def test_each_fault_has_its_code_and_one_message_without_traceback(fault: str, code: int) -> None:
    done = _run(f"raise {fault}")
    assert done.returncode == code
    said = "interrupted: it broke" if code == 130 else "error: "  # what somebody wanted is no error
    assert said in done.stderr and "it broke" in done.stderr
    assert ("error" in done.stderr) == (code != 130)
    assert "Traceback" not in done.stderr
    assert done.stdout == "a result\n"


def test_an_interrupt_that_a_library_made_another_error_of_is_an_interrupt() -> None:
    from facerec_cli.errors import ModelError, was_interrupt

    try:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as first:
                raise RuntimeError("Error calling __set_name__") from first
        except RuntimeError:
            raise ModelError("It cannot be exported.")  # noqa: B904 - a library that says less
    except ModelError as fault:
        assert was_interrupt(fault)
    lines = (
        "try:",
        "    raise KeyboardInterrupt",
        "except BaseException as first:",
        "    raise OSError from first",
    )
    done = _run("\n    ".join(lines))
    assert done.returncode == errors.EXIT_INTERRUPTED and "interrupted" in done.stderr
    assert not was_interrupt(ModelError("It is damaged."))


def test_debug_shows_the_traceback() -> None:
    done = _run("raise errors.InputError('it broke.')", "--debug")
    assert "Traceback" in done.stderr and "it broke" in done.stderr and done.returncode != 0


def test_quiet_leaves_results_and_warnings() -> None:
    done = _run("pass", "--quiet")
    assert done.stdout == "a result\n"
    assert "a warning" in done.stderr and "a note" not in done.stderr


def test_json_reports_the_fault_as_a_document_too() -> None:
    done = _run("raise errors.ModelError('bad [file].', hint='Mend it.')", "--json")
    document = json.loads(done.stdout.removeprefix("a result\n"))
    assert document == {
        "error": {"kind": "ModelError", "message": "bad [file].", "hint": "Mend it.", "exit_code": 4}
    }
    assert "bad [file]." in done.stderr, "brackets in a message are text, not markup"


VERIFY = "import sys; sys.argv[0] = 'facerec'; from facerec_cli.cli import main; main()"


def _program(*arguments: str, shell: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    quoted = shlex.join([sys.executable, "-c", VERIFY, *arguments])
    environment = {**os.environ, **variables}
    return subprocess.run(["sh", "-c", quoted + shell], capture_output=True, env=environment, timeout=120)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("arguments", [["--help"], ["embed", "--help"]])
def test_help_that_cannot_be_written_says_so(arguments: list[str]) -> None:
    done = _program(*arguments, shell=" >/dev/full")
    assert done.returncode == 8 and b"Traceback" not in done.stderr
    assert done.stderr.startswith(b"error: The help cannot be written to standard output: No space left")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "utf-8:surrogateescape"])
def test_any_name_can_be_printed_and_json_stays_json(encoding: str) -> None:
    name = os.fsdecode("é写".encode() + b"\xff")
    done = _program("models", "add", name, "--json", shell="", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 4 and b"Traceback" not in done.stderr
    assert name in json.loads(done.stdout.decode())["error"]["message"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize(("shell", "code"), [(" >/dev/full", 8), (" >&-", 0), (" >&- 2>&-", 0)])
@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"]])
def test_a_stdout_that_takes_nothing_is_no_fault_of_ours(arguments: list[str], shell: str, code: int) -> None:
    done = _program("models", *arguments, shell=shell)
    assert done.returncode == code and b"Traceback" not in done.stderr
    assert (b"cannot be written to standard output" in done.stderr) == (code == 8)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_version_that_cannot_be_written_says_so() -> None:
    done = _program("--version", shell=" >/dev/full")
    assert done.returncode == 8 and b"Traceback" not in done.stderr and b"ignored" not in done.stderr
    assert done.stderr.startswith(b"error: The results cannot be written to standard output: No space left")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_an_error_that_cannot_be_told_keeps_its_code() -> None:
    done = _program("verify", "a.jpg", "nope.jpg", shell=" 2>/dev/full")
    assert done.returncode == 3 and not done.stderr


@pytest.mark.parametrize("columns", ["0", "", "wide", "-3", "00"])
@pytest.mark.parametrize("arguments", [["models", "list"], ["verify", "--help"], ["--help"]])
def test_a_terminal_without_a_width_is_printed_on(arguments: list[str], columns: str) -> None:
    assert len(_program(*arguments, shell="", COLUMNS=columns).stdout.split()) > 20


@pytest.mark.parametrize(
    "arguments",
    [["models", "list"], ["models", "list", "--json"], ["verify", "--help"], ["--help"], ["--version"]],
)
def test_a_reader_that_has_gone_is_no_fault(arguments: list[str]) -> None:
    """As of `facerec verify --help | head -1`; rich and Click would end with code 1."""
    command = [sys.executable, "-c", VERIFY, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None and program.stderr is not None
        program.stdout.close()
        told = program.stderr.read()
    assert program.returncode == 0 and b"rror" not in told


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_notes_stand_above_the_bar_on_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from facerec_cli.cli import console

    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with console.progress_bar("Working") as progress:
        progress(1, 3)
        console.note("a note")
    assert re.search(r"\x1b\[2Ka note *\n", terminal.getvalue()), "the bar's line is erased first"
    console.note("later")
    assert terminal.getvalue().endswith("later\n")


def test_output_into_a_pipe_has_no_color_codes() -> None:
    done = _run("raise errors.InputError('it broke.')")
    assert "\x1b[" not in done.stderr + done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("place", ["__del__", "cb"])
def test_an_interrupt_is_not_lost_in_a_callback_whose_exceptions_python_swallows(place, number):
    """``__del__``, and the callback that importlib leaves on every module's lock."""
    program = f"""
import signal, sys, time, weakref
from facerec_cli.cli import command
command._listen_to_signals()
class Thing:
    pass
def swallowing(*given):
    signal.raise_signal(signal.{number})
    for _ in range(1000):
        pass
if {place!r} == "__del__":
    exec("def __del__(self):\\n    swallowing()", globals())
    Thing.__del__ = __del__
    thing = Thing()
else:
    exec(compile("def cb(given):\\n    swallowing()", "<frozen importlib._bootstrap>", "exec"), globals())
    thing = Thing()
    kept = weakref.ref(thing, cb)
try:
    del thing
    time.sleep(20)
    print("lost")
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(("longest", "said"), [(30.0, "whole\ninterrupted\n"), (0.2, "interrupted\n")])
def test_an_interrupt_waits_for_an_import_but_not_for_ever(longest, said, tmp_path):
    """A library that is half imported would be taken for a broken one, and that for a fault of facerec."""
    text = "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(0.5)\nprint('whole')\n"
    (tmp_path / "library.py").write_text(text)
    program = f"""
import sys, time
from facerec_cli.cli import command
command._LONGEST_IMPORT = {longest}
command._listen_to_signals()
sys.path.insert(0, {str(tmp_path)!r})
try:
    import library
    time.sleep(20)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == (said, 0), done.stderr


def test_a_name_that_is_too_long_is_the_users_wherever_it_was_looked_up() -> None:
    done = _run("import os; os.stat('n' * 300)")
    assert done.returncode == errors.InputError.exit_code
    assert "n" * 80 + "... is too long for the name of a file or folder." in " ".join(done.stderr.split())
    assert "n" * 81 not in done.stderr and "Give a shorter name." in done.stderr
