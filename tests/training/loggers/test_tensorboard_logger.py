"""TensorBoard's event files hold each step once, also after a run was resumed or went back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from facerec_cli.training.loggers.logger import FollowedRun
from facerec_cli.training.loggers.tensorboard import TensorBoardLogger
from facerec_cli.training.train import train

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [(event.step, pytest.approx(event.value)) for event in events.Scalars(name)]


def test_it_gets_what_the_metrics_file_gets(small: Any, tmp_path: Path, stop_at: Any) -> None:
    recipe = small(tmp_path / "run", run__tensorboard=True)  # as it was asked for before there were loggers
    with pytest.raises(KeyboardInterrupt):
        train(recipe, observer=stop_at(4))
    train(recipe, resume=True)
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    for name in ("loss", "lr"):
        assert scalars(tmp_path / "run", name) == [(r["step"], r[name]) for r in records]


def test_what_is_gone_back_over_is_dropped(tmp_path: Path) -> None:
    logger = TensorBoardLogger()
    logger.begin(FollowedRun("run", tmp_path, {}, 0))
    for step, loss in ((1, 1.0), (2, 5.0), (3, 9.0)):
        logger.log(step, {"loss": loss})
    assert logger.rewind(1)
    logger.log(2, {"loss": 2.0})
    logger.end("finished")
    assert scalars(tmp_path, "loss") == [(1, 1.0), (2, 2.0)]
