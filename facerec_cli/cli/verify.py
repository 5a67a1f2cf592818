"""``facerec verify``: how good is a model on labeled pairs, and are these two photos of one person?"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.options import Json, OptionalModel, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.cli.verify_view import show, show_verdict
from facerec_cli.faces.settings import RESULTS
from facerec_cli.option import Option
from facerec_cli.packs.overrides import PackOverrides
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.verify.outputs import VerifyOutputs
from facerec_cli.verify.settings import ReadingOptions, VerifySettings

Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="LIST | FOLDER | PHOTO PHOTO",
        help="A list of labeled pairs, a folder (of IJB, CFP, or with --all-pairs), or two photos.",
        show_default=False,
        readable=False,  # that a file may not be read is said as for every other fault of it
    ),
]
Threshold = Annotated[
    str | None,
    Option(
        "For two photos: a cosine, or a card of --calibrate or --save-threshold (default: the model's).",
        panel=RESULTS,
    ),
]
Likelihood = Annotated[
    Path | None,
    Option(
        "For two photos: what the similarity is worth, by a card of --calibrate or --save-likelihood "
        "(default: that of --threshold, or the model's).",
        panel=RESULTS,
    ),
]
Force = Annotated[
    Overwrite,
    Shown("Replace files of results that are not facerec's.", panel=RESULTS),
]


@command
def verify(
    inputs: Inputs,
    *,
    reading: ReadingOptions,
    model: Annotated[
        OptionalModel, Shown(f"A pack's name, folder or ONNX file (default: {DEFAULT_PACK}).")
    ] = None,
    settings: VerifySettings,
    threshold: Threshold = None,
    likelihood: Likelihood = None,
    outputs: VerifyOutputs,
    overwrite: Force = False,
    json_output: Annotated[Json, Shown("Print the results as JSON.", panel=RESULTS)] = False,
    overrides: PackOverrides,
) -> None:
    """Measure a model on labeled pairs, or compare two photos.

    Exit code 0 means that the comparison was made, for either verdict; 3 that a photo has no face.
    """
    from facerec_cli.images import quiet_decoders
    from facerec_cli.packs.resolve import open_pack
    from facerec_cli.verify.json_document import to_document
    from facerec_cli.verify.photos import Verdict
    from facerec_cli.verify.run import verify as run

    outputs.refuse_faults(inputs, settings, model=model, all_pairs=reading.all_pairs, overwrite=overwrite)
    pack = None if model is None else open_pack(model, overrides=overrides)
    with quiet_decoders():
        outcome = run(
            inputs,
            replace(settings, model=pack),
            **asdict(reading),
            threshold=threshold,
            likelihood=likelihood,
            steps=console.progress_bar,
        )
    if isinstance(outcome, Verdict):
        if json_output:
            console.result_json(outcome.document())
        else:
            show_verdict(outcome)
        return
    if not json_output:
        show(
            outcome,
            likelihood=outputs.save_likelihood is not None or outputs.calibrate is not None,
            quality=outputs.save_quality is not None,
        )
    with quiet_decoders():  # a report shows photos
        outputs.write(outcome)
    if json_output:  # last, so that stdout has one document: the results or an error
        console.result_json(to_document(outcome))
    for _, path in outputs.named().values():
        console.note(f"written: {path}")
    if outputs.calibrate is not None and isinstance(outcome.impostor_tail, str):
        console.note(f"without an impostor tail, which searches take: {outcome.impostor_tail}")
