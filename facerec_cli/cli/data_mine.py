"""``facerec data mine``: hard photos, suspected labels and pseudo-labels, as lists to train on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.data_view import show_mined
from facerec_cli.cli.options import Json, OptionalModel, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.data.mining.settings import MineOutputs, MineSettings
from facerec_cli.faces.settings import RESULTS

Minable = Annotated[
    str,
    typer.Argument(
        metavar="GALLERY|GROUPS|DATA",
        help="An enrolled gallery, a file of groups of `facerec cluster`, a folder with a folder per person, "
        "a list of `path label`, or a file of embeddings.",
        show_default=False,
    ),
]


@command
def mine(
    data: Minable,
    *,
    outputs: MineOutputs,
    settings: MineSettings,
    model: Annotated[
        OptionalModel, Shown("A pack's name, folder or ONNX file (default: the gallery's, or the built-in).")
    ] = None,
    overwrite: Annotated[Overwrite, Shown("Replace files that are there.", panel=RESULTS)] = False,
    json_output: Annotated[Json, Shown("Print what was found as JSON.", panel=RESULTS)] = False,
) -> None:
    """Find hard photos and wrong labels in a gallery, in groups of faces or in labeled photos; write lists.

    facerec data mine staff -o hard.txt && facerec train --data hard.txt --init sface --loss npt

    Photos with a suspected label are left out of the lists, and hard ones are shown more often.
    """
    from dataclasses import replace

    from facerec_cli.data.mining.run import mine as mine_faces
    from facerec_cli.data.mining.write import write_mined
    from facerec_cli.images import quiet_decoders

    outputs.refuse_faults([Path(data), *settings.never], overwrite=overwrite)
    settings = replace(settings, model=model)
    with quiet_decoders():
        found = mine_faces(data, settings, steps=console.progress_bar)
        written = write_mined(found, outputs, settings, steps=console.progress_bar)
    if json_output:
        console.result_json(found.document() | {"written": written})
    else:
        show_mined(found)
    for path, count in written.items():
        console.note(f"written: {path} ({count:,})")
    if outputs.lists:
        crops = f"; crops are in {outputs.crops_folder}" if found.crops_are_cut else ""
        console.note(f"beside each list the names of its people (.classes.txt){crops}")
    if outputs.lists and outputs.pairs is not None:
        console.note(
            f"the pairs are of aligned crops: facerec verify {shlex.quote(str(outputs.pairs))} --aligned"
        )
