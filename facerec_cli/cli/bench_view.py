"""What was measured of this machine, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.cli import console

if TYPE_CHECKING:
    from facerec_cli.bench import BenchReport


def show(report: BenchReport) -> None:
    """The rates at each setting, and which to take."""
    width, height = report.size
    columns = ("threads", "batch", "read", "detect", "align", "encode", "whole pipeline")
    console.result_table(
        [
            (
                row.threads,
                row.batch,
                *(f"{rate:,.1f}" for rate in (row.read, row.detect, row.align, row.encode)),
                "-" if row.pipeline is None else f"{row.pipeline:,.1f}",
            )
            for row in report.rows
        ],
        columns=columns,
        title=f"{report.model} on {report.provider}, images a second "
        f"({report.photos}, searched at about {width} x {height})",
        right=columns,
    )
    best = report.best
    console.result(f"recommended: --threads {best.threads} --batch-size {best.batch}")
    if best.pipeline is None:
        console.note("Chosen by the encoder alone; name some photos of faces to measure the whole pipeline.")
    elif report.provider == "cpu":
        _compare_with_stages(best.pipeline, best.bound)


def _compare_with_stages(pipeline: float, bound: float) -> None:
    """On a CPU, say how near the pipeline comes to its stages, or that no such figure was measured."""
    shared = f"The stages share the cores: one after the other they would make {bound:,.1f} images a second"
    if pipeline <= bound:
        console.note(f"{shared}; the whole pipeline makes {100 * pipeline / bound:.0f} % of that.")
        return
    console.warn(
        f"{shared}, and the whole pipeline cannot be faster, but {pipeline:,.1f} were measured. Other work "
        "on the machine has spoiled the figures; measure again with more --seconds while nothing else runs."
    )
