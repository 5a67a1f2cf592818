"""``facerec cluster``: which faces are of one person?"""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.cluster_view import show, show_files
from facerec_cli.cli.command import command
from facerec_cli.cli.options import Json, OptionalModel, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.clusters.outputs import ClusterOutputs
from facerec_cli.clusters.settings import ClusterSettings
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.faces.settings import RESULTS
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.packs.overrides import PackOverrides

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Photos, folders (searched below), URLs of either, lists of paths (.txt), quoted patterns, - "
        "for a list on standard input, or what `facerec embed` wrote.",
        show_default=False,
    ),
]


@command
def cluster(
    inputs: Inputs,
    *,
    settings: ClusterSettings,
    model: Annotated[
        OptionalModel, Shown("A pack's name, folder or ONNX file (default: the gallery's, or sface).")
    ] = None,
    options: EmbedOptions,
    engine: SearchEngineOptions,
    outputs: ClusterOutputs,
    overwrite: Annotated[
        Overwrite,
        Shown("Replace files that are not facerec's, and a table that was worked on.", panel=RESULTS),
    ] = False,
    json_output: Annotated[Json, Shown("Print the results as JSON.", panel=RESULTS)] = False,
    overrides: PackOverrides,
) -> None:
    """Put the faces of photos together by person, without knowing who they are.

    Exit code 0 means that faces were grouped, whatever came of it; 5 that some photos could not be read.
    """
    from facerec_cli.clusters.run import cluster_faces
    from facerec_cli.images import quiet_decoders
    from facerec_cli.packs.resolve import open_pack

    known = (settings.links, settings.truth, settings.gallery, settings.apply)
    read: list[str | Path] = [*inputs, *(path for path in known if path is not None)]
    outputs.refuse_faults(read, settings, overwrite=overwrite)
    pack = None if model is None else open_pack(model, overrides=overrides)
    with quiet_decoders():
        found = cluster_faces(
            inputs,
            replace(settings, model=pack),
            options,
            engine=engine,
            exclude=[Path(outputs.copy_to)] if outputs.copy_to else [],
            steps=console.progress_bar,
        )
    with quiet_decoders():  # a report shows photos
        copied, sidecars = outputs.write(
            found,
            steps=console.progress_bar,
            apply=_again(table=outputs.output is None and outputs.copy_to is None),
            update=settings.update,
        )
    if json_output:  # last, so that stdout has one document: the results or an error
        more = {} if copied is None else {"copied": copied.document()}
        console.result_json(found.document() | more)
    else:
        show(found, table=outputs.output is None and settings.truth is None)
    show_files(outputs, copied, sidecars)
    if found.fault:
        raise found.fault


def _again(*, table: bool) -> str:
    """This command as it was typed, with FILE for decisions to carry out; a page tells it to its reader.

    Args:
        table: Whether it needs a table that shows what was carried out.
    """
    words = sys.argv[1:]
    if words[:1] != ["cluster"]:
        words = ["cluster", "PHOTOS"]
    kept, dropped = ["facerec"], False
    for word in words:
        if not dropped and word.partition("=")[0] not in ("--apply", "--report", "--overwrite", "--force"):
            kept.append(word)
        dropped = word in ("--apply", "--report")
    return f"{shlex.join([*kept, *(['-o', 'clusters.csv'] if table else [])])} --apply FILE"
