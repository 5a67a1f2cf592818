"""Where the files of an export go, what they are called, and what stands in their way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facerec_cli.errors import UsageError
from facerec_cli.export.settings import ExportOptions
from facerec_cli.outputs import refuse_existing
from facerec_cli.workshop import clear_workshop

FULL = "fp32"


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """The files of an export.

    Attributes:
        name: Of the model; a smaller form of it is ``NAME_FORM``.
        paths: Form -> its file, the full one first.
        insightface: The file in insightface's layout, or None.
        registered: Form -> its name in the registry; empty where nothing is registered.
    """

    name: str
    paths: Mapping[str, Path]
    insightface: Path | None
    registered: Mapping[str, str]

    @property
    def target(self) -> Path:
        """The full file."""
        return self.paths[FULL]

    @property
    def outputs(self) -> list[Path]:
        """Every file that is written."""
        return [*self.paths.values(), *([self.insightface] if self.insightface else [])]


def make_plan(options: ExportOptions) -> ExportPlan:
    """Decide where the files go, and refuse what stands in their way.

    Raises:
        UsageError: Options that do not fit together, a file that exists or a name that is taken.
        ModelError: The name is not possible.
    """
    name, target = _target(options)
    forms = (FULL, *options.forms)
    plan = ExportPlan(
        name,
        {FULL: target} | {form: target.with_name(f"{target.stem}_{form}.onnx") for form in options.forms},
        options.insightface / target.name if options.insightface else None,
        {form: suffixed(options.name, form) for form in forms} if options.name else {},
    )
    clear_workshop(target, plan.outputs)
    refuse_existing(plan.outputs, overwrite=options.force)
    _refuse_registered(plan, overwrite=options.force)
    return plan


def suffixed(name: str, form: str) -> str:
    """The name of ``form`` of the model ``name``."""
    return name if form == FULL else f"{name}_{form}"


def _target(options: ExportOptions) -> tuple[str, Path]:
    """The model's name and its full file."""
    from facerec_cli.packs.manifest_toml import check_name

    output = options.output
    if not options.name and output is None:
        raise UsageError(
            "Nothing says where to write the file.",
            hint="Give --name NAME to register the model, or -o FILE.onnx.",
        )
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


def _refuse_registered(plan: ExportPlan, *, overwrite: bool) -> None:
    from facerec_cli.packs.catalog import find

    for name in plan.registered.values():
        entry = find(name)
        if entry is not None and not (overwrite and entry.origin == "registered"):
            hint = "Give another name, or --overwrite to replace it."
            if entry.origin != "registered":
                hint = "It does not belong to you. Give another name."
            raise UsageError(f"There is a model called {name!r} already.", hint=hint)
