"""What an export is asked for, where its files go, and what stands in their way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from facerec_cli.errors import UsageError
from facerec_cli.export.settings import ExportOptions

FULL = "fp32"


def target(options: ExportOptions) -> tuple[str, Path]:
    """The model's name and its file.

    Raises:
        UsageError: Options that do not fit together.
        ModelError: The name is not possible.
    """
    from facerec_cli.packs.manifest_toml import check_name

    output = options.output
    if not options.name and output is None:
        raise UsageError("Say where to.", hint="Give --name NAME to register the model, or -o FILE.onnx.")
    if options.name:
        check_name(options.name)
    if output is None:
        output = Path(f"{options.name}.onnx")
    elif output.is_dir():
        if not options.name:
            raise UsageError(f"{output} is a folder.", hint="Name the file, or the model with --name.")
        output = output / f"{options.name}.onnx"
    if output.suffix.lower() != ".onnx":
        raise UsageError(f"{output} does not end in .onnx.", hint=f"Write -o {output}.onnx")
    if options.far is not None and options.pairs is None:
        raise UsageError("--threshold is measured on pairs.", hint="Give a list of pairs with --pairs.")
    if options.insightface is not None and options.graph.uint8:
        raise UsageError(
            "insightface feeds float32 channels first, so --uint8 does not fit --insightface.",
            hint="Export twice.",
        )
    if options.insightface is not None and options.insightface.absolute() == output.absolute().parent:
        raise UsageError(
            f"--insightface {options.insightface} is where the file itself goes.",
            hint="Give it a folder of its own.",
        )
    name = options.name or re.sub(r"[^A-Za-z0-9._-]+", "_", output.stem).strip("._-")[:64] or "model"
    return check_name(name), output.absolute()


def beside(target: Path, form: str) -> Path:
    """The file of ``form`` beside the full one."""
    return target if form == FULL else target.with_name(f"{suffixed(target.stem, form)}.onnx")


def suffixed(name: str, form: str) -> str:
    """The name of ``form`` of the model ``name``."""
    return name if form == FULL else f"{name}_{form}"


def refuse_registered(names: Iterable[str], *, force: bool) -> None:
    """Raise UsageError where a name is taken."""
    from facerec_cli.packs.catalog import find

    for name in names:
        entry = find(name)
        if entry is not None and not (force and entry.origin == "registered"):
            hint = "Give another name, or --overwrite to replace it."
            if entry.origin != "registered":
                hint = "It does not belong to you. Give another name."
            raise UsageError(f"There is a model called {name!r} already.", hint=hint)
