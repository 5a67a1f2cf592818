"""The parts of the kit, the most valuable first, each in a process of its own and within its time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2

from gpu_kit.alone import CONTEXT
from gpu_kit.report import Kit, Report, Row

GRACE = 3.0  # seconds between the end that a part knows of and the end that it is given


@dataclass(frozen=True)
class Part:
    """A part of the kit.

    Attributes:
        name: For ``--parts`` and ``--plant``.
        what: It answers.
        seconds: Its part of eight minutes.
        work: ``module:function``, called with a :class:`Kit` and a :class:`Report`.
    """

    name: str
    what: str
    seconds: float
    work: str


PARTS = (
    Part("machine", "what is this machine?", 20, "gpu_kit.machine:describe"),
    Part("losses", "does every loss compute what it computes on the CPU?", 35, "gpu_kit.losses:prove"),
    Part("networks", "do the networks?", 25, "gpu_kit.networks:prove_networks"),
    Part("step", "does a whole training step?", 30, "gpu_kit.networks:prove_step"),
    Part("runs", "do five losses train in bf16 and fp16?", 85, "gpu_kit.runs:train_losses"),
    Part("speed", "how many images a second, beside arcface_torch?", 105, "gpu_kit.speed:measure_speed"),
    Part("breakdown", "where does a step's time go?", 45, "gpu_kit.speed:break_down"),
    Part("packs", "do export and embed work on the GPU?", 45, "gpu_kit.packs:prove_packs"),
    Part("resume", "does a killed run go on as if nothing had been?", 35, "gpu_kit.runs:resume_run"),
    Part("compile", "what does run.compile bring?", 55, "gpu_kit.speed:measure_compiled"),
)


def run_parts(
    parts: Sequence[Part], kit: Kit, seconds: float, tell: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Run parts one after the other.

    A part may take its own time and what those before it have left over, as long as there is as much in all;
    with more than eight minutes each has as much more. It is skipped where less than half of its own is left,
    and where the machine part has failed.

    Args:
        parts: In this order.
        kit: What they are given.
        seconds: For all of them.
        tell: Is given a line of text now and then.

    Yields:
        What became of each: name, state (done, failed, broken, skipped), seconds, rows, error.
    """
    began = time.monotonic()
    earned, usable = 0.0, True
    longer = max(seconds / sum(part.seconds for part in PARTS), 1.0)
    for part in (replace(part, seconds=longer * part.seconds) for part in parts):
        past = time.monotonic() - began
        left = seconds - past
        allowed = min(part.seconds + max(earned - past, 0.0), left)
        earned += part.seconds
        result: dict[str, Any] = {"name": part.name, "what": part.what, "budget": part.seconds}
        if not usable or left < part.seconds / 2:
            reason = f"{max(left, 0):.0f} s were left" if usable else "the device cannot be used"
            tell(f"\n{part.name}: skipped, {reason}")
            yield result | {"state": "skipped", "seconds": 0.0, "rows": [], "error": reason}
            continue
        tell(f"\n{part.name}: {part.what} (up to {allowed:.0f} s)")
        start = time.monotonic()
        error = _in_process(part, kit, allowed)
        rows = _rows(kit.folder / f"{part.name}.jsonl")
        result |= {"state": _state(rows, error), "seconds": round(time.monotonic() - start, 1), "rows": rows}
        usable = usable and not (part.name == "machine" and result["state"] == "broken")
        if error:
            tell(f"  BROKEN   {part.name}: {error}")
            result["error"] = error
        yield result


def _state(rows: Sequence[Row], error: str) -> str:
    """Whether a proof failed, or something ended with an error, or nothing did."""
    if any(row["kind"] == "proof" and not row["passed"] for row in rows):
        return "failed"
    return "broken" if error or any(row["kind"] == "failed" for row in rows) else "done"


def _in_process(part: Part, kit: Kit, seconds: float) -> str:
    """Run a part; what went wrong with the process itself, or nothing."""
    process = CONTEXT.Process(target=_child, args=(part, kit, seconds - GRACE))
    process.start()
    try:
        process.join(seconds)
        if process.is_alive():
            return f"ended after {seconds:.0f} s, before it was done"
    finally:
        _end(process)
    if process.exitcode:
        words = (kit.folder / f"{part.name}.err").read_text(encoding="utf-8", errors="replace").split()
        return f"exit code {process.exitcode}: {' '.join(words)[-300:]}"
    return ""


def _end(process: Any) -> None:
    """End a part with all that it has started; it leads a session of its own."""
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, number)
            else:
                process.terminate()
        process.join(GRACE / 2)
    process.join()


def _child(part: Part, kit: Kit, seconds: float) -> None:
    """The process of a part: warnings of libraries go to a file, what is found to the part's own."""
    if hasattr(os, "setsid"):
        os.setsid()
    # OpenCV's threads do not survive a fork, and some parts fork again. 1 would wait for the threads of the
    # parent, which are not here; 0 leaves them alone.
    cv2.setNumThreads(0)
    errors = os.open(kit.folder / f"{part.name}.err", os.O_WRONLY | os.O_CREAT)
    os.dup2(errors, 2)
    report = Report(kit.folder / f"{part.name}.jsonl", seconds)
    module, _, function = part.work.partition(":")
    with report.attempt(part.name):
        getattr(import_module(module), function)(kit, report)


def _rows(path: Path) -> list[Row]:
    """The rows that a part has written; a last line that it was ended in is left out."""
    rows: list[Row] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
    return rows
