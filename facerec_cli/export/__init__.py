"""From a checkpoint to a trusted ONNX file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.lazy import lazy_names

if TYPE_CHECKING:
    from facerec_cli.export.run import ExportedFile, ExportReport, export
    from facerec_cli.export.settings import ExportOptions, GraphOptions

__all__ = ["ExportOptions", "ExportReport", "ExportedFile", "GraphOptions", "export"]

__getattr__ = lazy_names(
    __name__,
    {
        "ExportOptions": "facerec_cli.export.settings",
        "ExportReport": "facerec_cli.export.run",
        "ExportedFile": "facerec_cli.export.run",
        "GraphOptions": "facerec_cli.export.settings",
        "export": "facerec_cli.export.run",
    },
)
