"""``facerec identify``: who of a gallery is on these photos, or how good is such a search?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.evaluation_view import show_evaluation
from facerec_cli.cli.identify_view import show, show_sorted
from facerec_cli.cli.options import Json, OptionalModel, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import RESULTS
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.identify.outputs import IdentifyOutputs
from facerec_cli.identify.settings import IdentifySettings, ProtocolReading
from facerec_cli.option import Option
from facerec_cli.packs.overrides import PackOverrides

Gallery = Annotated[
    str,
    typer.Argument(
        metavar="GALLERY",
        help="An enrolled gallery, a folder with a subfolder for each person, a CSV of path,person, or a "
        "file of embeddings.",
        show_default=False,
    ),
]
Probes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROBES",
        help="Photos, folders, lists of paths (.txt), quoted patterns, - for a list on standard input, or "
        "what `facerec embed` wrote.",
        show_default=False,
    ),
]
FailUnknown = Annotated[
    bool, Option("End with code 5 where a face is of nobody in the gallery.", panel=RESULTS)
]


@command
def identify(
    gallery: Gallery,
    probes: Probes = None,
    *,
    reading: ProtocolReading,
    settings: IdentifySettings,
    model: Annotated[
        OptionalModel, Shown("A pack's name, folder or ONNX file (default: the gallery's).")
    ] = None,
    engine: SearchEngineOptions,
    outputs: IdentifyOutputs,
    fail_unknown: FailUnknown = False,
    overwrite: Annotated[Overwrite, Shown("Replace files that are not facerec's.", panel=RESULTS)] = False,
    json_output: Annotated[Json, Shown("Print the results as JSON.", panel=RESULTS)] = False,
    overrides: PackOverrides,
) -> None:
    """Find the people of a gallery on photos, or measure how good such a search is.

    Exit code 0 means that the search was made, whatever it found; 5 that some photos could not be read.
    """
    from facerec_cli.identify.run import search_gallery
    from facerec_cli.images import quiet_decoders
    from facerec_cli.packs.resolve import open_pack

    inputs = [gallery, *(probes or [])]
    outputs.refuse_faults(
        inputs, overwrite=overwrite, evaluate=reading.evaluate, claims=settings.mode == "identify"
    )
    pack = None if model is None else open_pack(model, overrides=overrides)
    if reading.evaluate:
        if engine != SearchEngineOptions():
            raise UsageError("--evaluate compares every person in this process.", hint="Leave --engine out.")
        _evaluate(inputs, reading, replace(settings, model=pack), outputs, json_output=json_output)
        return
    reading.refuse_flags(settings)
    if not probes:
        raise UsageError("It is not said what to search for.", hint="Name photos after the gallery.")
    with quiet_decoders():
        found = search_gallery(
            gallery,
            probes or [],
            replace(settings, model=pack),
            engine=engine,
            exclude=[Path(outputs.copy_to)] if outputs.copy_to else [],
            steps=console.progress_bar,
        )
    if not json_output:
        show(found)
    with quiet_decoders():  # a report shows photos
        copied = outputs.write(found, steps=console.progress_bar)
    if json_output:  # last, so that stdout has one document: the results or an error
        console.result_json(found.document() | ({} if copied is None else {"copied": copied.document()}))
    for name, (_, path) in outputs.named().items():
        if name != "copy_to":
            console.note(f"written: {path}")
    if copied is not None:
        show_sorted(copied)
    fault = found.fault or (found.unknown_fault() if fail_unknown else None)
    if fault:
        raise fault


def _evaluate(
    inputs: list[str],
    reading: ProtocolReading,
    settings: IdentifySettings,
    outputs: IdentifyOutputs,
    *,
    json_output: bool,
) -> None:
    """Measure a search instead of making it."""
    from facerec_cli.identify.evaluate import evaluate
    from facerec_cli.images import quiet_decoders

    with quiet_decoders():
        outcome = evaluate(
            inputs, settings, format=reading.format, root=reading.root, steps=console.progress_bar
        )
    if not json_output:
        show_evaluation(outcome)
    if outputs.report is not None:
        from facerec_cli.identify.evaluation_report import write_evaluation_report

        with quiet_decoders():  # it shows photos
            write_evaluation_report(outcome, outputs.report)
    if json_output:
        console.result_json(outcome.document())
    if outputs.report is not None:
        console.note(f"written: {outputs.report}")
