"""Runs cases: most of them in worker processes, some in a process of their own, all at limits."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.fuzz import judge, seeds
from tests.fuzz.judge import Fault, Outcome
from tests.fuzz.sandbox import Case, Sandbox
from tests.fuzz.worker import confine

RUNS_OF_A_WORKER = 150
_LOOK = 0.1  # seconds between two looks at time and memory
_TICKS = os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that runs commands; a new one takes its place where it died or was stopped."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._runs = 0

    def run(self, sandbox: Sandbox, case: Case) -> Outcome:
        """Run the case in its sandbox."""
        if self._process is None or self._runs >= RUNS_OF_A_WORKER:
            self.close()
            self._start()
        self._runs += 1
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        cpu = _usage(process.pid)[0]
        request = json.dumps({"folder": str(sandbox.root), "case": case.to_json()}) + "\n"
        process.stdin.write(request.encode())
        process.stdin.flush()
        watch = _Watch(process.pid, cpu)
        while not select.select([process.stdout], [], [], _LOOK)[0]:
            if stopped := watch.over():
                process.kill()
                break
        else:
            stopped = ""
        answer = process.stdout.readline() if not stopped else b""
        if not answer:
            code = process.wait()
            self._process = None
            return _outcome(sandbox, watch, code=None if stopped else code, stopped=stopped)
        done = json.loads(answer)
        return _outcome(sandbox, watch, **done)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()  # type: ignore[union-attr]
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._runs = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker"],
            cwd=seeds.REPOSITORY,
            env=os.environ | {"PYTHONPATH": _python_path(), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            preexec_fn=confine,
        )


class _Watch:
    """Time and memory of a process since now."""

    def __init__(self, process: int, cpu: float = 0.0) -> None:
        self.process, self.cpu, self.peak = process, 0.0, 0
        self._before, self._started = cpu, time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def over(self) -> str:
        """Which limit is passed; empty where none is."""
        cpu, memory = _usage(self.process)
        self.cpu, self.peak = max(self.cpu, cpu - self._before), max(self.peak, memory)
        if self.cpu > judge.MAX_CPU or self.seconds > judge.MAX_SECONDS:
            return "time"
        return "memory" if self.peak > judge.MAX_MEMORY else ""


def _usage(process: int) -> tuple[float, int]:
    """(seconds of the processor, bytes of memory) of a process and its children."""
    cpu, memory, waiting = 0.0, 0, [process]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            cpu += (int(fields[11]) + int(fields[12])) / _TICKS
            memory += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            waiting += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return cpu, memory


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(seeds.REPOSITORY), os.environ.get("PYTHONPATH", ""))))


def run_alone(sandbox: Sandbox, case: Case) -> Outcome:
    """Run the case as a user does: a process of its own."""
    from tests.fuzz.families.api import program

    environment = sandbox.environment() | {"PYTHONPATH": _python_path()}
    (sandbox.root / "stdin").write_bytes(case.stdin.encode("latin-1"))
    with (
        (sandbox.root / "stdin").open("rb") as stdin,
        (sandbox.root / "stdout").open("wb") as stdout,
        (sandbox.root / "stderr").open("wb") as stderr,
    ):
        process = subprocess.Popen(
            [sys.executable, *program(case.argv)],
            cwd=sandbox.work,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=confine,
        )
        watch, stopped = _Watch(process.pid), ""
        while process.poll() is None:
            time.sleep(_LOOK / 2)
            if stopped := watch.over():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                break
    return _outcome(sandbox, watch, code=None if stopped else process.returncode, stopped=stopped)


def _outcome(sandbox: Sandbox, watch: _Watch, **known: Any) -> Outcome:
    text = [
        (sandbox.root / name).read_bytes().decode("utf-8", "replace")
        if (sandbox.root / name).is_file()
        else ""
        for name in ("stdout", "stderr")
    ]
    measured = {"seconds": watch.seconds, "cpu": watch.cpu, "peak": watch.peak} | known
    return Outcome(stdout=text[0], stderr=text[1], **measured)


def try_case(sandbox: Sandbox, case: Case, worker: Worker | None) -> tuple[Outcome, list[Fault]]:
    """Run and judge; without a worker in a process of its own."""
    before = judge.listing(sandbox.root)
    outcome = worker.run(sandbox, case) if worker else run_alone(sandbox, case)
    after = judge.listing(sandbox.root)
    return outcome, judge.judge(case, outcome, before, after, sandbox.work)


def copy_sandbox(sandbox: Sandbox, target: Path) -> Sandbox:
    """The same inputs in another place: links stay links, pipes and sockets are left out."""

    def plain(folder: str, names: list[str]) -> list[str]:
        paths = {name: Path(folder, name) for name in names}
        return [
            name for name, path in paths.items() if not (path.is_symlink() or path.is_dir() or path.is_file())
        ]

    shutil.copytree(sandbox.root, target, symlinks=True, ignore=plain)
    return Sandbox(target, fill=False)
