"""The arithmetic of docs/scaling.md, from the committed measurements.

    python benchmarks/scaling.py            # write the tables of docs/scaling.md anew
    python benchmarks/scaling.py --check    # only say whether they are up to date

Each line is a quantity, how it follows from measured ones, and the result. The figures come from the last run
of each program in ``benchmarks/results``; nothing is measured here.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from history import REPOSITORY, read
from partial_fc import expected

PAGE = REPOSITORY / "docs" / "scaling.md"
FACES, CORES, GPUS = 10_000_000_000, 1000, 1000
DAY, YEAR = 86_400, 365.25 * 86_400
IRESNET50, MOBILEFACENET = 43_590_848, 1_200_512  # parameters; a test counts them


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: what, how it is reckoned, what comes out."""

    name: str
    how: str
    result: str

    def __str__(self) -> str:
        return f"| {self.name} | {self.how} | {self.result} |"


class Figures:
    """The last measurement of each row."""

    def __init__(self, runs: Sequence[Mapping[str, Any]]) -> None:
        self._rows: dict[tuple[str, str], tuple[float, Mapping[str, Any]]] = {}
        for run in runs:
            size = (
                f" {run['settings']['vectors']} {run['settings']['size']}"
                if "vectors" in run["settings"]
                else ""
            )
            for row in run["rows"]:
                self._rows[run["benchmark"] + size, row["name"]] = row["value"], run["settings"]

    def of(self, benchmark: str, row: str) -> float:
        """A measured value.

        Raises:
            SystemExit: No run has it.
        """
        return self._found(benchmark, row)[0]

    def setting(self, benchmark: str, row: str, name: str) -> Any:
        """What that measurement was made with.

        Raises:
            SystemExit: No run has it.
        """
        return self._found(benchmark, row)[1][name]

    def _found(self, benchmark: str, row: str) -> tuple[float, Mapping[str, Any]]:
        if (benchmark, row) not in self._rows:
            raise SystemExit(f"No run of {benchmark} in benchmarks/results has a row {row!r}.")
        return self._rows[benchmark, row]


def embedding(figures: Figures) -> Iterator[Line]:
    """10 billion photos with one face each."""
    core = figures.of("embed", "facerec") / 2
    photo, vector = (figures.of("units", name) for name in ("photo", "vector"))
    yield Line("a core embeds", f"{2 * core:.1f} photos/s on two cores / 2", f"{core:.1f} photos/s")
    yield Line(
        "work",
        f"{number(FACES)} / {core:.1f}",
        f"{number(FACES / core)} s = {FACES / core / YEAR:.1f} core years",
    )
    yield Line(f"{CORES:,} cores", f"that / {CORES:,}", f"{FACES / core / CORES / 3600:.0f} hours")
    yield Line("a laptop of 2 cores", "that / 2", f"{FACES / core / 2 / YEAR:.1f} years")
    yield Line("photos read", f"{number(FACES)} x {photo:,.0f} bytes (LFW's)", size(FACES * photo))
    each = FACES / (FACES / core / CORES)
    yield Line(
        f"read by {CORES:,} cores", f"{each:,.0f} photos/s x {photo:,.0f}", f"{each * photo / 1e9:.2f} GB/s"
    )
    yield Line("vectors", f"{number(FACES)} x {vector:.0f} bytes", size(FACES * vector))
    read_align = figures.of("units", "read") + figures.of("units", "align")
    wanted = FACES / DAY / GPUS
    yield Line(
        f"to be done in a day by {GPUS:,} GPUs",
        f"{number(FACES)} / {DAY:,} s / {GPUS:,}",
        f"{wanted:.0f} photos/s a GPU",
    )
    yield Line(
        "cores that read and align for such a GPU",
        f"{wanted:.0f} x ({figures.of('units', 'read'):.2f} + {figures.of('units', 'align'):.2f}) ms",
        f"{wanted * read_align / 1e3:.2f}",
    )


def ray(figures: Figures) -> Iterator[Line]:
    """What Ray adds."""
    shards = FACES / 256
    yield Line("shards", f"{number(FACES)} / 256 photos", f"{number(shards)}")
    yield Line("paths through the object store", f"{number(FACES)} x 65 bytes", size(FACES * 65))
    yield Line("list of paths of one run", "10,000,000 x 96 bytes", size(1e7 * 96))
    yield Line("runs of 10 million photos", f"{number(FACES)} / 10,000,000", f"{FACES / 1e7:,.0f}")
    yield Line("Parquet shards", f"{number(FACES)} x 1,154 bytes", size(FACES * 1154))


def verification(figures: Figures) -> Iterator[Line]:
    """All pairs, and why not of everything."""
    rate = figures.of("verify all-pairs 100000 128", "facerec")
    wide = figures.of("verify all-pairs 100000 512", "facerec")
    yield Line("pairs of 128 numbers", "two cores, 100,000 vectors", f"{rate / 1e6:.0f} million/s")
    yield Line("pairs of 512 numbers", "two cores, 100,000 vectors", f"{wide / 1e6:.0f} million/s")
    for n in (100_000, 1_000_000, 10_000_000, FACES):
        pairs = n * (n - 1) / 2
        yield Line(
            f"all pairs of {number(n)}",
            f"{number(pairs)} / {rate / 1e6:.0f} million/s",
            duration(pairs / rate),
        )
    yield Line(
        "the last one on 1,000 such machines", "that / 1,000", duration(FACES * (FACES - 1) / 2 / rate / 1000)
    )
    for far in (1e-6, 1e-9):
        pairs = 3 / far
        photos = (2 * pairs) ** 0.5
        yield Line(
            f"FAR {far:g} needs (rule of three)",
            f"3 / {far:g} = {number(pairs)} pairs",
            f"{photos:,.0f} photos, {duration(pairs / rate)}",
        )


def classes(figures: Figures) -> Iterator[Line]:
    """Class weights of 512 numbers, batches of 128 a process."""
    for count, processes, rate in (
        (10_000_000, 1, 1.0),
        (10_000_000, 8, 1.0),
        (10_000_000, 8, 0.1),
        (10_000_000, 1000, 0.1),
        (100_000_000, 1000, 0.1),
    ):
        own, batch = count / processes, 128 * processes
        part = min(own, max(rate * own, batch))
        name = f"{number(count)} people, P = {processes:,}, sample rate {rate:g}"
        fixed = f"{12 if part == own else 8} x {own:,.0f} x 512"
        more = f"4 x {batch:,} x {part:,.0f}"
        more = more if part == own else f"8 x {part:,.0f} x 512 + {more}"
        yield Line(name, f"{fixed} + {more}", size(expected(count, 512, batch, rate, processes)))


def exchange(figures: Figures) -> Iterator[Line]:
    """What a step of 1,000 processes with 128 photos each moves."""
    share = 2 * (GPUS - 1) / GPUS
    for name, count in (("mobilefacenet", MOBILEFACENET), ("iresnet50", IRESNET50)):
        yield Line(f"gradients of {name}", f"4 bytes x {count:,}", size(4 * count))
        yield Line(
            f"sent by a process in a ring, {name}",
            f"2 (P - 1) / P x {size(4 * count)}",
            size(share * 4 * count),
        )
    rows = 128 * GPUS
    yield Line(
        "embeddings that each process gathers", f"128 x {GPUS:,} x 512 x 4 bytes", size(rows * 512 * 4)
    )
    yield Line(
        "their gradients, added up", "the same again, in a ring twice that", size(share * rows * 512 * 4)
    )


def training(figures: Figures) -> Iterator[Line]:
    """Time of a step on one core."""
    row = "training mobilefacenet", "mobilefacenet, arcface, 16 photos, 1 process: step"
    step, threads = figures.of(*row), figures.setting(*row, "threads")
    rate = 16e3 / step / threads
    how = f"16 photos / {step:,.0f} ms / {threads} threads"
    yield Line("mobilefacenet, one core", how, f"{rate:.1f} photos/s")
    years = FACES / rate / YEAR
    yield Line(
        f"an epoch of {number(FACES)} photos", f"{number(FACES)} / {rate:.1f}", f"{years:,.0f} core years"
    )
    wanted = FACES / DAY / GPUS
    yield Line(
        f"an epoch in a day on {GPUS:,} GPUs",
        f"{number(FACES)} / {DAY:,} s / {GPUS:,}",
        f"{wanted:.0f} photos/s a GPU",
    )
    decode = figures.of("units", "crop as JPEG")
    yield Line(
        "crops read meanwhile",
        f"{wanted * GPUS:,.0f} photos/s x {decode:,.0f} bytes",
        f"{wanted * GPUS * decode / 1e9:.2f} GB/s",
    )


SECTIONS: dict[str, Callable[[Figures], Iterator[Line]]] = {
    "embedding": embedding,
    "ray": ray,
    "verification": verification,
    "classes": classes,
    "exchange": exchange,
    "training": training,
}


def number(value: float) -> str:
    """1.8e8 as 180 million."""
    for unit, name in (
        (1e18, "x 10^18"),
        (1e15, "x 10^15"),
        (1e12, "trillion"),
        (1e9, "billion"),
        (1e6, "million"),
    ):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Bytes in decimal units."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:,.0f} bytes"


def duration(seconds: float) -> str:
    """In the unit that fits."""
    for unit, name in ((YEAR, "years"), (DAY, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return (
                f"{seconds / unit:,.3g} {name}" if seconds < 1000 * unit else f"{seconds / unit:,.0f} {name}"
            )
    return f"{seconds:.3g} s"


def written(page: str, figures: Figures) -> str:
    """The page with its tables reckoned anew."""
    for name, lines in SECTIONS.items():
        table = "\n".join(["| | reckoned | result |", "|---|---|---|", *map(str, lines(figures))])
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        page, found = re.subn(pattern, lambda m, table=table: f"{m[1]}{table}\n{m[2]}", page, flags=re.S)  # type: ignore[misc]
        if found != 1:
            raise SystemExit(f"{PAGE.name} has {found} places for the table {name!r}.")
    return page


def main() -> None:
    """Write the page's tables or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    old = PAGE.read_text(encoding="utf-8")
    new = written(old, Figures(read()))
    if check and new != old:
        raise SystemExit(
            "docs/scaling.md is not what the measurements say; run: python benchmarks/scaling.py"
        )
    if not check:
        PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
