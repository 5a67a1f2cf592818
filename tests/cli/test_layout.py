"""Tables and lines on narrow terminals: no word is broken or cut, what is there to be copied stays whole."""

from __future__ import annotations

import pytest

from facerec_cli.cli import console
from facerec_cli.cli.layout import broken, needed

COLUMNS = ("model", "where", "license", "what it is")
ROWS = [
    ("sface-degraded", "embedded", "non-commercial-research", "for small, blurred and dark photos"),
    ("mine", "registered", "unspecified", ""),
]


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_no_word_of_a_table_is_lost_or_broken(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    console.result_table(ROWS, columns=COLUMNS, title="Models on this machine")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    words = set(" ".join(lines).replace(":", "").split())
    for cell in [*COLUMNS, *(cell for row in ROWS for cell in row), "Models on this machine"]:
        assert set(cell.split()) - {"non-commercial-research"} <= words


def test_a_table_without_room_has_its_cells_below_one_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "34")
    console.result_table(ROWS[1:], columns=COLUMNS)
    assert capsys.readouterr().out.splitlines() == [
        "model mine",
        "  where: registered",
        "  license: unspecified",
    ]


def test_long_words_do_not_turn_a_table_around() -> None:
    path = "/a/very/long/path/" * 9
    assert needed([("ok", path)], ("", "found")) == needed([("ok", "x" * 20)], ("", "found")) < 40


def test_what_is_there_to_be_copied_stays_whole() -> None:
    command = "    pip install --force-reinstall 'onnxruntime-gpu[cuda,cudnn]' and more"
    assert broken(command, 30) == command
    assert broken("one two three four", 9) == "one two\nthree\nfour"
    assert (
        broken("see runs/a-long-name/of-a-folder/best.pt", 12) == "see\nruns/a-long-name/of-a-folder/best.pt"
    )
