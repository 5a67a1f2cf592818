"""``facerec bench``: images a second on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facerec_cli.cli import completion, console

if TYPE_CHECKING:
    from facerec_cli.bench import BenchReport


@console.command
def bench(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PHOTO",
            help="Photos like those that you want to embed. Without any, photos without faces are made up, "
            "and the pipeline as a whole is not measured.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="A pack's name, folder or ONNX file.", autocompletion=completion.models
        ),
    ] = "sface",
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, tensorrt, coreml or openvino.", autocompletion=completion.devices
        ),
    ] = "auto",
    threads: Annotated[
        list[int] | None,
        typer.Option(help="CPU threads to try; may be repeated (default: 1, half and all cores)."),
    ] = None,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(help="Batch size to try; may be repeated (default: 1, 4, 16)."),
    ] = None,
    seconds: Annotated[float, typer.Option(help="About how long to measure.")] = 30,
    json_output: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measure images a second on this machine, and recommend threads and batch size."""
    from facerec_cli.bench import bench as run

    with console.progress_bar("Measuring", unit="settings") as progress:
        report = run(
            inputs or (),
            model,
            device=device,
            threads=threads or (),
            batches=batch_size or (),
            seconds=seconds,
            progress=progress,
        )
    if json_output:
        console.result_json(report.document())
    else:
        _show(report)


def _show(report: BenchReport) -> None:
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
