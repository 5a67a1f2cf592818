"""The program as a whole: lazily loaded commands look the same as loaded ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from facerec_cli import cli
from facerec_cli.cli.program import COMMANDS, build_app


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facerec_cli", *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_table_is_the_first_line_of_the_command(name: str) -> None:
    node = get_command(build_app([name])).commands[name]  # type: ignore[attr-defined]
    assert (node.help or "").strip().splitlines()[0] == COMMANDS[name][1]


def test_help_lists_every_command_and_version_the_packages() -> None:
    page = _run("--help")
    assert page.returncode == 0 and page.stderr == ""
    assert all(name in page.stdout for name in COMMANDS)
    version = _run("--version")
    assert version.stdout.startswith("facerec 0.") and "onnxruntime " in version.stdout


def test_a_flag_in_the_place_of_a_value_writes_no_file_of_that_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "facerec_cli", "models", "card", "sface", "-o", "--json"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2 and "--json stands where a value" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_misspelt_command_is_a_usage_error_with_the_nearest_name() -> None:
    done = _run("embde")
    assert done.returncode == 2
    assert "embed" in done.stderr and done.stdout == ""


@pytest.mark.parametrize(("flags", "kind"), [((), SystemExit), (("--debug",), PermissionError)])
def test_debug_shows_what_a_command_raised_and_never_calls_it_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], kind: type
) -> None:
    def refuse() -> None:
        raise PermissionError(13, "Permission denied", "card.md")

    monkeypatch.setattr(cli, "build_app", lambda loaded: refuse)
    monkeypatch.setattr(sys, "argv", ["facerec", "models", "card", "sface", *flags])
    with pytest.raises(kind):
        cli.main()
    assert ("The help cannot be written" in capsys.readouterr().err) == (not flags)


@pytest.mark.parametrize("before", ["", "--data=", "run.out=", "adaface:", "--init=adaface:"])
def test_a_tilde_that_the_shell_left_is_the_home(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "/home/ann")
    assert cli.at_home(f"{before}~/x") == f"{before}/home/ann/x"


@pytest.mark.parametrize("word", ["--data=a~/x", "x/~/y", "~", "-v", "https://a/~/b", "a b=~/x"])
def test_any_other_tilde_stays(word: str) -> None:
    assert cli.at_home(word) == word


def test_the_program_looks_at_home_for_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "facerec_cli", "data", "info", "~/list.txt"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 3 and "holds no photos" in done.stderr
