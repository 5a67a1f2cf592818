"""The pack that an exported file is: its manifest, and the file with the manifest inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from facerec_cli.export.onnx_graph import OPSET
from facerec_cli.export.parity import Agreement
from facerec_cli.export.settings import ExportOptions, GraphOptions
from facerec_cli.export.source import Source
from facerec_cli.files import writing
from facerec_cli.packs.manifest import EncoderSpec, License, ModelPack

if TYPE_CHECKING:
    from onnx import ModelProto

HINT = "The flag -o names it. Nothing was left behind."


def encoder_spec(source: Source, graph: GraphOptions, file: str) -> EncoderSpec:
    """How the graph in ``file`` is fed, and what it gives."""
    given = source.preprocessing
    inside = graph.uint8 is not None
    return EncoderSpec(
        file=file,
        sha256="",
        embedding_size=source.backbone.embedding_size,
        input_size=given.size,
        color=graph.uint8 or given.color,  # type: ignore[arg-type]  # Preprocessing has text
        mean=(0.0, 0.0, 0.0) if inside else given.mean,
        std=(1.0, 1.0, 1.0) if inside else given.std,
        template=given.template,
        normalized=graph.normalize,
        layout="nhwc" if inside else "nchw",
    )


def make_pack(
    source: Source, options: ExportOptions, name: str, encoder: EncoderSpec, parity: str
) -> ModelPack:
    """The manifest of the full file.

    Args:
        source: What is exported.
        options: What was asked for.
        name: Of the model.
        encoder: From :func:`encoder_spec`.
        parity: From :func:`agreement_words`.
    """
    facts = {
        "exporter": f"torch {torch.__version__.partition('+')[0]}, torch.export, opset {OPSET}",
        "parity": parity,
        "flip": "inside the graph" if options.graph.flip else "not in the graph",
    }
    return ModelPack(
        name=name,
        description=source.description,
        folder=Path(),
        license=License(
            code=source.code_license,
            weights=options.license,
            commercial=options.commercial,
            notice="" if options.license != "unspecified" else "Nobody has stated a license of the weights.",
        ),
        provenance=source.provenance,
        encoder=encoder,
        training={**source.facts, **facts},
    )


def agreement_words(agreements: Sequence[Agreement], crops: str) -> str:
    """Agreement with PyTorch, the worst of some runs, as the manifest says it."""
    return (
        f"smallest cosine {min(one.smallest_cosine for one in agreements):.9f} and largest difference "
        f"{max(one.largest_difference for one in agreements):.3g} to PyTorch on {crops}"
    )


def write_pack(model: ModelProto, pack: ModelPack, path: Path) -> ModelPack:
    """Write ``model`` to ``path`` with the manifest ``pack`` inside; returns the pack that it is."""
    from facerec_cli.packs.metadata import seal

    with writing(path, hint=HINT):
        path.write_bytes(model.SerializeToString())
    return seal(path, pack)
