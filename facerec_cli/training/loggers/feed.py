"""Loggers are fed by what a run tells, each on a thread of its own, so that none can hold training up.

What a logger has got is written to ``loggers/NAME.json`` in the run's folder. From there a resumed run goes
on: no step is logged twice, and what a logger has missed (it was down, or asked for later) is read from the
metrics file and sent.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from facerec_cli.errors import FacerecError, ResourceError
from facerec_cli.files import write_file
from facerec_cli.settings import to_tables
from facerec_cli.training.loggers.logger import Ending, FollowedRun, RunLogger, make_logger
from facerec_cli.training.report import Evaluated, Event, Logged, Observer, Plan, RolledBack
from facerec_cli.training.run_folder import LOGGERS_FOLDER, read_metrics
from facerec_cli.untrusted import parse_json

log = logging.getLogger("facerec")

BEGIN = 120.0  # seconds that a logger may take to begin
END = 30.0  # seconds that it may take for what is left after the last step
_WAITS = (1.0, 5.0, 15.0, 60.0)  # seconds until a failed call is made again, the last one ever after
_LOOK = 0.1  # seconds between looks whether the run has ended
_KEPT = 10_000  # records that wait for a logger; it gets the others when the run is resumed


@contextmanager
def followed(names: Sequence[str], folder: Path, observer: Observer) -> Iterator[Observer]:
    """An observer that tells ``observer`` and the loggers ``names`` what happens.

    Args:
        names: Keys of ``registry.LOGGERS``; none in other processes than the first.
        folder: Of the run.
        observer: Is told first.

    Raises:
        FacerecError: A logger does not exist or is not installed, at once; or it cannot begin, when the
            plan of the run is told.
    """
    feeds = [Feed(name, make_logger(name), folder) for name in names]

    def observe(event: Event) -> None:
        observer(event)
        for feed in feeds:
            feed.tell(event)
        if isinstance(event, Plan):
            for feed in feeds:  # which begin side by side
                feed.require_begun()

    how: Ending = "failed"
    try:
        yield observe
        how = "finished"
    except KeyboardInterrupt:
        how = "stopped"
        raise
    finally:
        deadline = time.monotonic() + END
        for feed in feeds:
            feed.end(how)  # all at once, so that they share the time
        for feed in feeds:
            feed.wait(deadline)


@dataclasses.dataclass(slots=True)
class Got:
    """What a logger has got.

    Attributes:
        id: Under what its tool knows the run.
        logged: Last step whose values it has; -1 for none.
        evaluated: Last step whose evaluation it has.
    """

    id: str = ""
    logged: int = -1
    evaluated: int = -1


class Feed:
    """One logger, its thread, and what waits for it.

    Args:
        name: Of the logger.
        logger: Not begun.
        folder: Of the run.
    """

    def __init__(self, name: str, logger: RunLogger, folder: Path) -> None:
        self._name, self._logger, self._folder = name, logger, folder
        self._file = folder / LOGGERS_FOLDER / f"{name}.json"
        self._got = Got()
        self._waiting: queue.Queue[Callable[[], None]] = queue.Queue(_KEPT)
        self._thread: threading.Thread | None = None
        self._begun, self._ended = threading.Event(), threading.Event()
        self._fault: Exception | None = None  # of the beginning
        self._warned = self._full = False
        self._ends = float("inf")  # when what has failed is not tried again
        self._how: Ending = "failed"

    def tell(self, event: Event) -> None:
        """Take note of ``event``, without waiting for the logger."""
        if isinstance(event, Plan):
            self._begin(event)
        elif isinstance(event, Logged):
            speed = {"lr": event.lr, "images_per_second": event.images_per_second}
            self._put(lambda: self._log(event.step, {**event.values, **speed}))
        elif isinstance(event, Evaluated):
            self._put(lambda: self._evaluated(event.step, event.metrics))
        elif isinstance(event, RolledBack):
            self._put(lambda: self._rewind(event.step))

    def end(self, how: Ending) -> None:
        """Nothing more will be told."""
        self._how, self._ends = how, time.monotonic() + END
        self._ended.set()

    def wait(self, deadline: float) -> None:
        """Wait until the logger has ended, or ``deadline``; it is left alone then."""
        if self._thread is None:
            return
        self._thread.join(max(deadline - time.monotonic(), 0.0))
        if self._thread.is_alive() or self._full or not self._waiting.empty():
            log.warning(
                "%s has not got everything of this run: it is in %s, and is sent when the run is resumed",
                self._name,
                self._folder / "metrics.jsonl",
            )

    def _begin(self, plan: Plan) -> None:
        settings = _settings(plan)
        self._got = _read(self._file)  # not before: --overwrite has removed what was of another run
        run = FollowedRun(self._folder.resolve().name, self._folder, settings, plan.start_step, self._got.id)
        self._thread = threading.Thread(
            target=self._work, args=(run,), name=f"logger {self._name}", daemon=True
        )
        self._thread.start()

    def require_begun(self) -> None:
        """Wait until the logger has begun.

        Raises:
            FacerecError: It cannot, or takes too long.
        """
        fault: Exception | None = ResourceError(
            f"The logger {self._name} has not begun within {BEGIN:.0f} seconds.",
            hint="Is its server there? Leave --logger out to train without it.",
        )
        if self._begun.wait(BEGIN):
            fault = self._fault
        if fault is not None:
            self._thread = None  # which is a daemon: it does not outlive the process
            raise fault

    def _work(self, run: FollowedRun) -> None:
        try:
            self._got.id = self._logger.begin(run)
            self._rewind(run.step)
            _write(self._file, self._got)
        except FacerecError as fault:
            self._fault = fault
        except Exception as fault:  # whatever the tool raises
            self._fault = ResourceError(
                f"The logger {self._name} cannot begin: {_in_words(fault)}.",
                hint="Leave --logger out to train without it.",
            )
        self._begun.set()
        if self._fault is not None:
            return
        self._catch_up()
        while not (self._ended.is_set() and self._waiting.empty()):
            with suppress(queue.Empty):
                if not self._done(self._waiting.get(timeout=_LOOK)):
                    self._full = True
                    break
        self._done(lambda: self._logger.end(self._how))

    def _catch_up(self) -> None:
        """Send what the metrics file has of steps that the logger has not got."""
        for record in read_metrics(self._folder):
            step = record.pop("step", -1)
            values = {k: v for k, v in record.items() if isinstance(v, float)}
            send = self._log if "lr" in record else self._evaluated
            if not self._done(lambda send=send, step=step, values=values: send(step, values)):  # type: ignore[misc]
                return

    def _put(self, work: Callable[[], None]) -> None:
        if self._thread is None or self._full:
            return
        try:
            self._waiting.put_nowait(work)
        except queue.Full:
            self._full = True  # not a later one either: what it has got is all up to a step

    def _done(self, work: Callable[[], None]) -> bool:
        """Make a call until it succeeds; False where the time for it is over."""
        attempt = 0
        while True:
            try:
                work()
                return True
            except Exception as fault:  # whatever the tool raises: training goes on without it
                if not self._warned:
                    self._warned = True
                    log.warning(
                        "%s does not take what is logged, and is asked again from time to time: %s",
                        self._name,
                        _in_words(fault),
                    )
            wait = _WAITS[min(attempt, len(_WAITS) - 1)]
            attempt += 1
            until = time.monotonic() + wait
            while time.monotonic() < min(until, self._ends):
                time.sleep(0.05)
            if time.monotonic() >= self._ends:
                return False

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        if step > self._got.logged:
            self._logger.log(step, values)
            self._got.logged = step
            _write(self._file, self._got)

    def _evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        if step > self._got.evaluated:
            self._logger.evaluated(step, metrics)
            self._got.evaluated = step
            _write(self._file, self._got)

    def _rewind(self, step: int) -> None:
        if max(self._got.logged, self._got.evaluated) > step and self._logger.rewind(step):
            self._got.logged = min(self._got.logged, step)
            self._got.evaluated = min(self._got.evaluated, step)


def _settings(plan: Plan) -> dict[str, Any]:
    """Every setting by its key, and the facts of the run."""
    found: dict[str, Any] = {}
    for table, values in to_tables(plan.recipe).items():
        found |= {f"{table}.{key}": value for key, value in values.items()}
    return found | {
        "photos": plan.images,
        "people": plan.classes,
        "parameters": plan.parameters,
        "trained": plan.trained,
        "steps": plan.steps,
        "device": plan.device,
        "processes": plan.processes,
        "precision": plan.precision,
    }


def _in_words(fault: Exception) -> str:
    lines = str(fault).strip().splitlines()
    return (lines[0] if lines else type(fault).__name__).rstrip(".")[:300]


def _read(file: Path) -> Got:
    """What is known of a logger; nothing where the file is missing or damaged."""
    try:
        found = parse_json(file.read_bytes())
        return Got(str(found["id"]), int(found["logged"]), int(found["evaluated"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Got()


def _write(file: Path, got: Got) -> None:
    file.parent.mkdir(exist_ok=True)
    write_file(file, json.dumps(dataclasses.asdict(got)).encode())
