"""The table of a run, and the folders in which faults are kept."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.families import make
from tests.fuzz.judge import Fault, Outcome
from tests.fuzz.sandbox import Case, write_argv


@dataclass
class Tally:
    """What became of the cases of one family."""

    inputs: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    slowest: float = 0.0
    largest: int = 0

    def add(self, outcome: Outcome, faults: list[Fault]) -> None:
        """Count one more."""
        self.inputs += 1
        self.codes["killed" if outcome.code is None else str(outcome.code)] += 1
        self.faults += bool(faults)
        self.slowest = max(self.slowest, outcome.cpu)
        self.largest = max(self.largest, outcome.peak)


def table(tallies: dict[str, Tally]) -> str:
    """The families, how their commands ended, the faults, the most CPU time and memory of one run."""
    total = Tally()
    lines = [f"{'family':<12} {'inputs':>7} {'faults':>7} {'slowest':>8} {'largest':>9}  exit codes"]
    for family, tally in [*tallies.items(), ("all", total)]:
        if tally is not total:
            total.inputs += tally.inputs
            total.faults += tally.faults
            total.codes += tally.codes
            total.slowest, total.largest = (
                max(total.slowest, tally.slowest),
                max(total.largest, tally.largest),
            )
        codes = "  ".join(f"{code}: {count:,}" for code, count in sorted(tally.codes.items()))
        lines.append(
            f"{family:<12} {tally.inputs:>7,} {tally.faults:>7,} {tally.slowest:>6.1f} s "
            f"{tally.largest >> 20:>5,} MiB  {codes}"
        )
    return "\n".join(lines)


def keep(folder: Path, family: str, seed: int, number: int, outcome: Outcome, faults: list[Fault]) -> Path:
    """Keep a fault: the inputs as they were, ``argv.json``, ``stdout`` and ``stderr``; gives the folder."""
    place = folder / f"{family}-{seed}-{number}"
    shutil.rmtree(place, ignore_errors=True)
    sandbox, case = make(family, seed, number, place)
    write(place, case, outcome, faults, family=family, seed=seed, number=number)
    return sandbox.root


def write(place: Path, case: Case, outcome: Outcome, faults: list[Fault], **more: object) -> None:
    """Write what was run and what came of it."""
    write_argv(place / "argv.json", case, faults=[str(fault) for fault in faults], code=outcome.code, **more)
    (place / "stdout").write_text(outcome.stdout, errors="replace")
    (place / "stderr").write_text(outcome.stderr, errors="replace")
