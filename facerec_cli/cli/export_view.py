"""What an export looks like on the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facerec_cli.cli import console

if TYPE_CHECKING:
    from facerec_cli.export.run import ExportedFile, ExportReport
    from facerec_cli.verify.pair_crops import ScoredPairs


def show(report: ExportReport) -> None:
    """The agreement with PyTorch, the files, what verification says of them, and where they are."""
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
        for sentence in evaluation.reasons():
            console.note(sentence)
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


def document(report: ExportReport) -> dict[str, Any]:
    """The report for ``--json``."""
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
