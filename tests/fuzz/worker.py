"""A process that runs commands one after the other, each in its own folders and with its output in files.

It is started by ``runner`` and told of runs line by line as JSON on standard input; it answers with the exit
code, the seconds and the memory. To start Python and its libraries for each of thousands of runs takes hours.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from tests.fuzz.sandbox import Case, Sandbox

CRASHED = 70


def confine() -> None:
    """In a new process: end with whoever started it, and make permissions count for root too (Linux)."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.geteuid() != 0:
        return
    overriding = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    for number in overriding:
        library.prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    if library.capget(header, sets) == 0:
        for i in (0, 1, 2):
            sets[i] &= ~sum(1 << number for number in overriding)
        library.capset(header, sets)


def run(sandbox: Sandbox, case: Case) -> dict[str, Any]:
    """Run one command here; gives ``code``, ``seconds`` (wall), ``cpu`` and ``peak`` (bytes)."""
    from facerec_cli.cli import main

    kept = {number: os.dup(number) for number in (0, 1, 2)}
    streams = sys.stdin, sys.stdout, sys.stderr
    (sandbox.root / "stdin").write_bytes(case.stdin.encode("latin-1"))
    files = [os.open(sandbox.root / "stdin", os.O_RDONLY)]
    files += [
        os.open(sandbox.root / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in ("stdout", "stderr")
    ]
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    os.environ.clear()
    os.environ.update(sandbox.environment())
    tempfile.tempdir = None
    os.chdir(sandbox.work)
    sys.argv = ["facerec", *case.argv]
    _reset_peak()
    started, cpu = time.monotonic(), _cpu()
    try:
        with warnings.catch_warnings():  # or a warning would be shown for the first run of many only
            if case.argv[0] == "@api":
                from tests.fuzz.families.api import call

                code = call(case.argv[1:])
            else:
                main()
                code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = CRASHED
    finally:
        seconds, cpu = time.monotonic() - started, _cpu() - cpu
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, file in kept.items():
            os.dup2(file, number)
            os.close(file)
        os.chdir("/")
    return {"code": code, "seconds": seconds, "cpu": cpu, "peak": _peak()}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _reset_peak() -> None:
    with contextlib.suppress(OSError):  # not Linux, or not allowed: the peak is that of the process so far
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main() -> None:
    """Answer requests until there are no more."""
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in requests:
        request = json.loads(line)
        done = run(Sandbox(Path(request["folder"]), fill=False), Case.from_json(request["case"]))
        answers.write(json.dumps(done) + "\n")
        answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
