"""``facerec export``: a checkpoint in, a trusted ONNX file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facerec_cli.cli import completion, console

if TYPE_CHECKING:
    from facerec_cli.export.result import ExportedFile, ExportReport
    from facerec_cli.verify.pair_crops import ScoredPairs

_GRAPH, _FORMS = "What the graph does", "Smaller forms, written beside the file and measured"
_MEASURE, _TERMS, _IMPORT = "Crops and pairs to measure on", "What the file says of itself", "Other projects"


@console.command
def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="best.pt or last.pt of a run, or the run's folder.",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option(help="Register the model under this name.", show_default=False)] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The ONNX file, or a folder (default: NAME.onnx here)."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--overwrite", "--force", help="Replace files and a registered model.")
    ] = False,
    interpolate: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="How far to go from the weights of --init (0) to the trained ones (1).",
            rich_help_panel=_GRAPH,
        ),
    ] = 1.0,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Scale embeddings to unit length.", rich_help_panel=_GRAPH)
    ] = False,
    flip: Annotated[
        bool,
        typer.Option("--flip", help="Add the embedding of the mirrored crop.", rich_help_panel=_GRAPH),
    ] = False,
    uint8: Annotated[
        Literal["rgb", "bgr"] | None,
        typer.Option(
            help="Take (N, H, W, 3) uint8 pixels in this color order and preprocess them in the graph.",
            rich_help_panel=_GRAPH,
        ),
    ] = None,
    keep_prelu: Annotated[
        bool,
        typer.Option("--keep-prelu", help="Leave PReLU as one node: slower on CPUs.", rich_help_panel=_GRAPH),
    ] = False,
    fp16: Annotated[
        bool,
        typer.Option("--fp16", help="Half precision throughout, for GPUs.", rich_help_panel=_FORMS),
    ] = False,
    fp16_weights: Annotated[
        bool,
        typer.Option("--fp16-weights", help="Stored in half, computed in float32.", rich_help_panel=_FORMS),
    ] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="8-bit weights and activations, calibrated on crops.", rich_help_panel=_FORMS
        ),
    ] = False,
    int8_weights: Annotated[
        bool,
        typer.Option("--int8-weights", help="Stored in 8 bits, computed in float32.", rich_help_panel=_FORMS),
    ] = False,
    insightface: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also write the network to this folder as the insightface package loads it.",
            rich_help_panel=_FORMS,
        ),
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photos of faces for parity check and calibration (default: training data).",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Labeled pairs to measure verification on.", rich_help_panel=_MEASURE),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder that the list's paths start from (default: guessed).", rich_help_panel=_MEASURE
        ),
    ] = None,
    aligned: Annotated[
        bool,
        typer.Option("--aligned", help="These photos are aligned crops already.", rich_help_panel=_MEASURE),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="FAR",
            help="Write the default threshold for this false accept rate, measured on --pairs.",
            rich_help_panel=_MEASURE,
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Most that an embedding may differ from PyTorch's, relative to its length.",
            min=0,
            rich_help_panel=_MEASURE,
        ),
    ] = 1e-3,
    license: Annotated[
        str, typer.Option(help="License of the weights, e.g. Apache-2.0.", rich_help_panel=_TERMS)
    ] = "unspecified",
    commercial: Annotated[
        bool,
        typer.Option("--commercial", help="That license allows commercial use.", rich_help_panel=_TERMS),
    ] = False,
    data_name: Annotated[
        str,
        typer.Option(
            help="What to call the training data (default: the path's last part).",
            show_default=False,
            rich_help_panel=_TERMS,
        ),
    ] = "",
    layout: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="PROJECT",
            help="Whose checkpoint it is: arcface_torch, tface, adaface or cvlface.",
            show_default=False,
            autocompletion=completion.projects,
            rich_help_panel=_IMPORT,
        ),
    ] = "",
    color: Annotated[
        Literal["rgb", "bgr"] | None,
        typer.Option(
            "--color",
            help="Color order that its network wants (default: bgr for adaface, else rgb).",
            rich_help_panel=_IMPORT,
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Write a checkpoint as an ONNX file that carries its manifest and is proved to compute the same."""
    from facerec_cli.errors import MissingExtraError

    try:
        from facerec_cli.export import ExportOptions, GraphOptions
        from facerec_cli.export import export as run
    except ModuleNotFoundError as fault:
        if (fault.name or "").partition(".")[0] not in ("torch", "onnxscript", "torchvision"):
            raise
        raise MissingExtraError(str(fault.name), extra="train", purpose="Exporting") from fault

    wanted = {"fp16": fp16, "fp16_weights": fp16_weights, "int8": int8, "int8_weights": int8_weights}
    options = ExportOptions(
        name=name,
        output=output,
        interpolate=interpolate,
        force=force,
        graph=GraphOptions(normalize=normalize, flip=flip, uint8=uint8),
        keep_prelu=keep_prelu,
        forms=tuple(form for form, asked in wanted.items() if asked),
        insightface=insightface,
        layout=layout,
        color=color,
        license=license,
        commercial=commercial,
        data_name=data_name,
        crops=crops,
        pairs=pairs,
        root=root,
        aligned=aligned,
        far=threshold,
        tolerance=tolerance,
    )
    with console.stages() as stages:
        report = run(checkpoint, options, stages=stages)
    if license == "unspecified":
        console.note("The file says that its weights have no stated license; --license states one.")
    if not report.real_crops:
        console.warn(f"parity was checked on {report.crops}; --crops FOLDER gives it photos of faces.")
    if json_output:
        console.result_json(_document(report))
    else:
        _show(report)


def _show(report: ExportReport) -> None:
    _table(
        f"ONNX Runtime against PyTorch on {report.crops}",
        ("provider", "batch", "largest difference", "smallest cosine"),
        [
            (
                row.provider,
                str(row.batch),
                f"{row.agreement.largest_difference:.3g}",
                f"{row.agreement.smallest_cosine:.9f}",
            )
            for row in report.parity
        ],
    )
    _table(
        "Files, each compared with PyTorch",
        ("file", "MB", "crops/s", "smallest cosine", "mean cosine"),
        [_file_row(file) for file in report.files],
    )
    if report.torch is not None:
        evaluation = report.torch.evaluation
        tars = [f"TAR at FAR {point.far:g}" for point in evaluation.tar_at_far]
        accuracy = "accuracy" if evaluation.accuracy is None else evaluation.accuracy.kind
        _table(
            f"Verification on {evaluation.pairs.total:,} pairs",
            ("model", accuracy, *tars, "largest change of a score"),
            [_verification_row(*entry, report.torch) for entry in _judged(report)],
        )
        for reason in _reasons(report.torch):
            console.note(reason)
    for file in report.files:  # not in the table, which breaks a long path in the middle
        console.note(f"written: {_shown(file.path)}")
    if report.insightface:
        console.result(f"for insightface: {report.insightface}")
    if report.registered:
        console.result(f"registered: {', '.join(report.registered)}")


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    console.result_table(rows, columns=columns, title=title, right=columns[1:])


def _shown(path: Path) -> Path:
    """As short as it can be typed here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _file_row(file: ExportedFile) -> tuple[str, ...]:
    measured = file.measured
    return (
        file.path.name,
        f"{measured.size / 1e6:.2f}",
        f"{measured.crops_per_second:.1f}",
        f"{measured.agreement.smallest_cosine:.6f}",
        f"{measured.mean_cosine:.6f}",
    )


def _judged(report: ExportReport) -> list[tuple[str, ScoredPairs]]:
    judged = [("PyTorch", report.torch), *((f.path.name, f.measured.verification) for f in report.files)]
    return [(name, entry) for name, entry in judged if entry is not None]


def _verification_row(name: str, judged: ScoredPairs, reference: ScoredPairs) -> tuple[str, ...]:
    accuracy = judged.evaluation.accuracy
    points = [
        "-" if point.tar_with_failures is None else f"{point.tar_with_failures:.4f}"
        for point in judged.evaluation.tar_at_far
    ]
    shown = "-" if accuracy is None else f"{accuracy.mean_with_failures:.4f}"
    change = "" if judged is reference else f"{judged.largest_change(reference):.2e}"
    return (name, shown, *points, change)


def _reasons(judged: ScoredPairs) -> list[str]:
    """Why a figure of the table is "-", each reason once."""
    evaluation = judged.evaluation
    told: dict[str, list[str]] = {}
    if evaluation.accuracy is None:
        told.setdefault(evaluation.not_measurable.get("accuracy", "too few pairs"), []).append("accuracy")
    for point in evaluation.tar_at_far:
        if point.tar_with_failures is None:
            told.setdefault(point.reason or "too few pairs", []).append(f"TAR at FAR {point.far:g}")
    return [f"- {', '.join(figures)}: {reason}" for reason, figures in told.items()]


def _document(report: ExportReport) -> dict[str, Any]:
    from dataclasses import asdict

    from facerec_cli.packs.manifest_toml import to_document

    return {
        "files": [
            {
                "form": file.form,
                "path": str(file.path),
                "name": file.pack.name,
                "sha256": file.pack.encoder.sha256,
                "bytes": file.measured.size,
                "crops_per_second": file.measured.crops_per_second,
                "mean_cosine": file.measured.mean_cosine,
                **asdict(file.measured.agreement),
                "threshold": to_document(file.pack).get("threshold"),
            }
            for file in report.files
        ],
        "insightface": None if report.insightface is None else str(report.insightface),
        "parity": [
            {"provider": row.provider, "batch": row.batch, **asdict(row.agreement)} for row in report.parity
        ],
        "crops": report.crops,
        "real_crops": report.real_crops,
        "verification": [
            {
                "model": name,
                "largest_score_change": 0.0 if report.torch is None else entry.largest_change(report.torch),
                **entry.evaluation.document(),
            }
            for name, entry in _judged(report)
        ],
        "registered": list(report.registered),
    }
