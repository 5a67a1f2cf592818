"""``python -m tests.fuzz``: run the fuzzer, show a kept fault again, or kill commands in the middle."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.fuzz import report
from tests.fuzz.families import FAMILIES, make, plan
from tests.fuzz.judge import Fault, Outcome
from tests.fuzz.runner import Worker, copy_sandbox, try_case
from tests.fuzz.sandbox import Case, Sandbox

ALONE = 40  # one case of so many runs in a process of its own


def fuzz(
    cases: list[tuple[str, int]],
    seed: int,
    *,
    jobs: int = 1,
    keep: Path | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, report.Tally]:
    """Run cases; a fault of a worker is tried again in a process of its own, and counts if it is there too.

    Args:
        cases: (family, number) each, as :func:`tests.fuzz.families.plan` gives them.
        seed: Of all of them.
        jobs: Workers at the same time.
        keep: Folder for the inputs of faults.
        tell: Told of each fault.

    Returns:
        Family -> what became of its cases.
    """
    waiting: SimpleQueue[tuple[str, int]] = SimpleQueue()
    for one in cases:
        waiting.put(one)
    tallies = {family: report.Tally() for family, _ in cases}
    lock = threading.Lock()
    scratch = Path(tempfile.mkdtemp(prefix="facerec-fuzz-"))

    def work(number_of_worker: int) -> None:
        worker = Worker()
        try:
            while True:
                try:
                    family, number = waiting.get_nowait()
                except Empty:
                    return
                outcome, faults = _one(family, seed, number, scratch / str(number_of_worker), worker)
                with lock:
                    tallies[family].add(outcome, faults)
                    if faults:
                        place = report.keep(keep, family, seed, number, outcome, faults) if keep else ""
                        tell(f"{family} {number}: {'; '.join(map(str, faults))}  {place}")
        finally:
            worker.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:  # what is under way is ended, and what was done is told
        with suppress(Empty):
            while True:
                waiting.get_nowait()
        for thread in threads:
            thread.join()
    shutil.rmtree(scratch, ignore_errors=True)
    return tallies


def _one(family: str, seed: int, number: int, place: Path, worker: Worker) -> tuple[Outcome, list[Fault]]:
    def once(chosen: Worker | None) -> tuple[Outcome, list[Fault]]:
        sandbox, case = make(family, seed, number, place)
        try:
            return try_case(sandbox, case, chosen)
        finally:
            sandbox.remove()

    outcome, faults = once(None if number % ALONE == 0 else worker)
    return once(None) if faults else (outcome, faults)


def replay(folder: Path) -> int:
    """Run a kept fault again and show what comes of it; 1 where it is still one."""
    case = Case.from_json(json.loads((folder / "argv.json").read_text()))
    with tempfile.TemporaryDirectory(prefix="facerec-fuzz-") as scratch:
        sandbox = copy_sandbox(Sandbox(folder, fill=False), Path(scratch) / "run")
        outcome, faults = try_case(sandbox, case, None)
    print("facerec " + " ".join(map(repr, case.argv)))
    print(
        f"{case.what}\n--- stdout\n{outcome.stdout}--- stderr\n{outcome.stderr}"
        f"--- code {outcome.code}, {outcome.cpu:.1f} s, {outcome.peak >> 20} MiB"
    )
    for fault in faults:
        print(f"FAULT {fault}")
    return 1 if faults else 0


def main() -> int:
    """Parse and run; 1 where there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="folder for inputs of faults")
    parser.add_argument("--only", type=int, help="one number of the family")
    parser.add_argument("--replay", type=Path, help="a folder of a fault: run it again")
    parser.add_argument("--kills", type=int, help="kill commands so often, and run them again")
    chosen = parser.parse_args()
    if chosen.replay:
        return replay(chosen.replay)
    started = time.monotonic()
    if chosen.kills:
        from tests.fuzz.kills import kill_all

        return kill_all(chosen.kills, chosen.seed, chosen.keep)
    families = chosen.family or list(FAMILIES)
    cases = plan(chosen.inputs, families) if chosen.only is None else [(families[0], chosen.only)]
    tallies = fuzz(
        cases,
        chosen.seed,
        jobs=chosen.jobs,
        keep=chosen.keep.absolute(),
        tell=lambda text: print(text, flush=True),
    )
    print(report.table(tallies))
    inputs, faults = (
        sum(getattr(tally, name) for tally in tallies.values()) for name in ("inputs", "faults")
    )
    print(f"{inputs:,} inputs, {faults:,} faults, {time.monotonic() - started:.0f} s, seed {chosen.seed}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
