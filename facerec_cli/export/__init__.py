"""From a checkpoint to a trusted ONNX file."""

from __future__ import annotations

from facerec_cli.export.onnx_graph import GraphOptions
from facerec_cli.export.plan import ExportOptions
from facerec_cli.export.result import ExportedFile, ExportReport
from facerec_cli.export.run import export

__all__ = ["ExportOptions", "ExportReport", "ExportedFile", "GraphOptions", "export"]
