"""A training run on a terminal of any width: nothing is cut or drawn over, the first judgement stays."""

from __future__ import annotations

import io
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from rich.console import Console

from facerec_cli.cli import train_view
from facerec_cli.cli.train_view import _LiveTable, columns, flowed
from facerec_cli.errors import UsageError
from facerec_cli.training.report import Evaluated, Logged, Stopping, Working

METRICS = {"pairs/accuracy": 0.9691, "pairs/auc": 0.99, "pairs/tar@0.01": 0.9, "pairs/tar@0.1": 0.98}
TERMS = {"loss": 0.7, "margin": 12.345678, "target_cosine": 0.77, "prototype_loss": 1e-7, "grad_norm": 109.3}


def screen(*events: object, width: int) -> list[str]:
    """The last thing that is drawn."""
    drawn: list[_LiveTable] = []
    view = _LiveTable(drawn.append)
    view.plan = SimpleNamespace(  # type: ignore[assignment]
        steps=108,
        steps_per_epoch=9,
        recipe=SimpleNamespace(run=SimpleNamespace(batch_size=16), optimizer=SimpleNamespace(accumulate=1)),
    )
    for event in events:
        view(event)  # type: ignore[arg-type]
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(drawn[-1])
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_nothing_is_cut_at_any_width(width: int) -> None:
    lines = screen(
        Evaluated(0, 0, METRICS, "", False),
        *(Evaluated(e, 9 * e, METRICS, "", e == 0) for e in range(8)),
        Logged(7, 65, 0.00123, TERMS, 3.0, 1.0, 12_300_000_000),
        width=width,
    )
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width and "…" not in text
    for word in (*TERMS, "lr", "images/s", "GPU memory", "12.3 GB", "0.00123", "1e-07", "65/108 steps"):
        assert word in text
    assert sum(line.startswith("before training: pairs/accuracy 96.91%") for line in lines) == 1
    assert sum("pairs/tar@0.1 98.00%" in line for line in lines) == 5  # the first and the latest four


def test_columns_do_not_jump_when_values_change() -> None:
    (few,) = columns({"loss": "0.7", "lr": "0.1"}, 80)
    (many,) = columns({"loss": "0.7123", "lr": "0.09512"}, 80)
    assert few[0] == many[0] and len(few[1]) == len(many[1])


def test_a_judgement_shows_how_far_it_is() -> None:
    lines = screen(Working("judging before training", 120, 412), width=80)
    assert len(lines) == 1 and lines[0].startswith("judging before training ━")
    assert lines[0].endswith("120/412 photos")
    assert screen(Working("judging before training", 120, 412), width=40)[-1].endswith("120/412 photos")
    assert "epoch 8/12" in "\n".join(
        screen(
            Logged(7, 65, 0.1, TERMS, 3.0, 1.0, None),
            Working("judging after epoch 8", 1, 2),
            width=80,
        )
    )


def test_a_stop_is_answered_at_once() -> None:
    text = " ".join(" ".join(screen(Working("judging before training", 1, 9), Stopping(), width=40)).split())
    assert "told to stop: what is under way is finished and saved first" in text


def test_parts_are_not_broken() -> None:
    assert flowed(["epoch 1:", "pairs/accuracy 96.91%", "(best so far)"], 30) == (
        "epoch 1: pairs/accuracy 96.91%\n    (best so far)"
    )


def test_a_run_that_never_begins_leaves_no_bar_above_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []
    monkeypatch.setattr(train_view, "live_view", lambda: nullcontext(drawn.append))
    with pytest.raises(UsageError), train_view.watch():
        raise UsageError("runs/mine holds a run already.", hint="Choose another --out.")
    assert len(drawn) == 2
    out = io.StringIO()
    Console(file=out, width=80).print(drawn[-1])
    assert not out.getvalue().strip()
