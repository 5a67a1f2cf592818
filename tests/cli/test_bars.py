"""The line of long work: the count is there at any width, and one line serves several parts of the work."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from facerec_cli.cli import console
from facerec_cli.cli.bars import progress_line
from facerec_cli.progress import silent, silent_stages


def shown(width: int, unit: str, done: int, total: int | None) -> str:
    out = io.StringIO()
    terminal = Console(file=out, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    line = progress_line(terminal)
    line.add_task("Cutting the pairs' faces", total=total, completed=done, unit=unit)
    terminal.print(line.get_renderable())
    lines = out.getvalue().splitlines()
    assert len(lines) == 1 and len(lines[0]) <= width
    return lines[0]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_count_is_there_at_any_width(width: int) -> None:
    assert "1,048/13,233" in shown(width, "photos", 1048, 13233)
    assert "12.0 MB of 40.0 MB" in shown(max(width, 60), "bytes", 12_000_000, 40_000_000)
    assert ("━" in shown(width, "photos", 1, 2)) == (width >= 60)


def test_what_is_not_counted_shows_no_count() -> None:
    line = shown(80, "photos", 0, None)
    assert "0/" not in line and line.split()[1:5] == ["Cutting", "the", "pairs'", "faces"]


def test_stages_are_silent_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with console.stages() as begin:
        assert begin is silent_stages and begin("Making the graph") is silent
    assert sys.stderr.getvalue() == ""
