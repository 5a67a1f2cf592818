"""What an export did: the files, and how well they agree with PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facerec_cli.export.measure import Measurement
from facerec_cli.export.parity import ParityRow
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.verify.pair_crops import ScoredPairs


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that was written.

    Attributes:
        form: "fp32" or a key of ``compress.FORMS``.
        path: Where it is.
        pack: What it says of itself.
        measured: What it costs and is worth.
    """

    form: str
    path: Path
    pack: ModelPack
    measured: Measurement


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did.

    Attributes:
        files: The full file first.
        insightface: The file in insightface's layout, or None.
        parity: One row for each provider and batch size.
        crops: What parity was checked on.
        real_crops: Whether they show faces.
        torch: The pairs scored by PyTorch, where they were given.
        registered: Names in the registry.
    """

    files: tuple[ExportedFile, ...]
    insightface: Path | None
    parity: tuple[ParityRow, ...]
    crops: str
    real_crops: bool
    torch: ScoredPairs | None
    registered: tuple[str, ...]
