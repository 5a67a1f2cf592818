"""What a run leaves beside its checkpoints: metrics, timings, the recipe, a curve.

``metrics.jsonl`` holds nothing that depends on the machine's speed, so an interrupted and resumed run writes
the same file as one that was left alone; speeds are in ``timing.jsonl``.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomli_w

from facerec_cli.errors import MissingExtraError
from facerec_cli.files import atomic_write, write_file, writing
from facerec_cli.settings import to_tables
from facerec_cli.training.config import Recipe
from facerec_cli.untrusted import parse_json

logger = logging.getLogger("facerec")
RECIPE, METRICS, TIMING, CURVE = "recipe.toml", "metrics.jsonl", "timing.jsonl", "curve.png"


class Records:
    """The files of one run; only the first process writes.

    Args:
        out: The run's folder.
        writes: Whether this process writes.
        tensorboard: Whether to write for TensorBoard too.

    Raises:
        MissingExtraError: TensorBoard is asked for and not installed.
    """

    def __init__(self, out: Path, *, writes: bool, tensorboard: bool = False) -> None:
        self.out = out
        self.writes = writes
        self._board: Any = None
        if tensorboard and writes:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as fault:
                raise MissingExtraError(
                    "tensorboard", extra="tensorboard", purpose="run.tensorboard"
                ) from fault
            self._board = SummaryWriter(str(out / "tensorboard"))

    def start(self, recipe: Recipe, offset: int) -> None:
        """Write the recipe, and cut what an interrupted run wrote after its last checkpoint."""
        if not self.writes:
            return
        write_file(self.out / RECIPE, tomli_w.dumps(to_tables(recipe)).encode())
        with writing(self.out / METRICS), (self.out / METRICS).open("ab") as file:
            file.truncate(min(offset, file.tell()))  # cutting beyond the end would append zeros

    def metrics(self, record: dict[str, Any]) -> int:
        """Append one record; returns the length of the file."""
        if not self.writes:
            return 0
        with writing(self.out / METRICS), (self.out / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            length = file.tell()
        if self._board is not None:
            for key, value in record.items():
                if isinstance(value, float) and key != "lr":
                    self._board.add_scalar(key, value, record["step"])
        return length

    def timing(self, record: dict[str, Any]) -> None:
        """Append one record of speeds."""
        if self.writes:
            with writing(self.out / TIMING), (self.out / TIMING).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    def close(self) -> None:
        """Finish what TensorBoard buffers."""
        if self._board is not None:
            self._board.close()


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """All records of a run."""
    path = out / METRICS
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        with suppress(ValueError):  # a line that a killed run half wrote, or a damaged one
            records.append(parse_json(line))
    return [record for record in records if isinstance(record, dict)]


def draw_curve(out: Path) -> Path | None:
    """Draw loss and held-out metrics over the steps; None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning("no curve is drawn: matplotlib is not installed (pip install 'facerec-cli[report]')")
        return None
    records = read_metrics(out)
    steps = [r for r in records if "loss" in r]
    checks = [r for r in records if "loss" not in r]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.subplots()
    left.plot([r["step"] for r in steps], [r["loss"] for r in steps], color="tab:blue", label="loss")
    left.set_xlabel("step")
    left.set_ylabel("loss", color="tab:blue")
    names = [key for key in (checks[-1] if checks else {}) if key.endswith("accuracy") or "/tar@" in key]
    if names:
        right = left.twinx()
        for name in names:
            found = [r for r in checks if name in r]
            right.plot([r["step"] for r in found], [r[name] for r in found], "o--", markersize=3, label=name)
        right.set_ylim(0, 1.02)
        right.legend(loc="center right", fontsize=8)
    left.set_title(out.name)
    left.grid(alpha=0.3)
    path = out / CURVE
    with atomic_write(path) as stream:
        figure.savefig(stream, dpi=120, format="png")
    return path
