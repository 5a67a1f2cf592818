"""``facerec verify``: how good is a model on labeled pairs, and are these two photos of one person?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec_cli.cli import completion, console
from facerec_cli.cli.model_options import pack_overrides
from facerec_cli.cli.verify_view import show, show_verdict
from facerec_cli.errors import UsageError

if TYPE_CHECKING:
    from facerec_cli.packs.overrides import PackOverrides

_PAIRS, _PHOTOS, _MODEL, _RESULT = "Pairs", "Photos and faces", "Model and machine", "Results"


@console.command
@pack_overrides
def verify(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="LIST | FOLDER | PHOTO PHOTO",
            help="A list of labeled pairs, a folder (of IJB, CFP, or with --all-pairs), or two photos.",
            show_default=False,
            readable=False,  # that a file may not be read is said as for every other fault of it
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            help="lfw, labeled, calfw, bin, ijb or cfp (default: told by the content).",
            rich_help_panel=_PAIRS,
            autocompletion=completion.pair_formats,
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder that the list's paths start from (default: guessed).", rich_help_panel=_PAIRS
        ),
    ] = None,
    all_pairs: Annotated[
        bool,
        typer.Option(
            "--all-pairs",
            help="Compare each photo of a folder with each other; one subfolder per person.",
            rich_help_panel=_PAIRS,
        ),
    ] = False,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            help="Vectors of `facerec embed` (.npy, .npz, .parquet) instead of photos.",
            readable=False,
            rich_help_panel=_PAIRS,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A pack's name, folder or ONNX file (default: sface).",
            rich_help_panel=_MODEL,
            autocompletion=completion.models,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, tensorrt, coreml or openvino.",
            rich_help_panel=_MODEL,
            autocompletion=completion.devices,
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads (default: all cores).", min=1, rich_help_panel=_MODEL),
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(help="Photos and crops worked on together.", rich_help_panel=_MODEL),
    ] = 16,
    cache: Annotated[
        bool,
        typer.Option("--cache/--no-cache", help="Keep embeddings for the next time.", rich_help_panel=_MODEL),
    ] = True,
    faces: Annotated[
        str,
        typer.Option(
            help="Which face of a photo with several is compared: main, center or largest.",
            rich_help_panel=_PHOTOS,
            autocompletion=completion.one_face,
        ),
    ] = "main",
    min_score: Annotated[
        float | None,
        typer.Option(help="Least detection score (default: the pack's).", rich_help_panel=_PHOTOS),
    ] = None,
    aligned: Annotated[
        bool | None,
        typer.Option(
            "--aligned/--detect",
            help="Whether photos are aligned face crops (default: aligned for .bin lists).",
            rich_help_panel=_PHOTOS,
        ),
    ] = None,
    flip: Annotated[
        bool,
        typer.Option("--flip", help="Add the embedding of the mirrored crop.", rich_help_panel=_PHOTOS),
    ] = False,
    threshold: Annotated[
        str | None,
        typer.Option(
            help="For two photos: a cosine, or a card of --save-threshold (default: the model's).",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    far: Annotated[
        float | None,
        typer.Option(
            help="False accept rate for --save-threshold and --by (default: the smallest measurable).",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    save_threshold: Annotated[
        Path | None,
        typer.Option(help="Write a threshold card (TOML) bound to the model.", rich_help_panel=_RESULT),
    ] = None,
    by: Annotated[
        Path | None,
        typer.Option(
            help="Error rates per group at one threshold: a CSV of `path or person,group`.",
            readable=False,
            rich_help_panel=_RESULT,
        ),
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option(
            help="Rounds of a bootstrap over people, for intervals that know that pairs share people.",
            rich_help_panel=_RESULT,
        ),
    ] = 0,
    scores: Annotated[
        Path | None,
        typer.Option(help="Write every pair's score: .csv or .npz.", rich_help_panel=_RESULT),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write curves, table and hardest pairs to one HTML file.", rich_help_panel=_RESULT),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            "--force",
            help="Replace files of --scores, --report and --save-threshold that are not facerec's.",
            rich_help_panel=_RESULT,
        ),
    ] = False,
    json_output: Annotated[
        bool,
        typer.Option("--json", help="Print the results as JSON.", rich_help_panel=_RESULT),
    ] = False,
    *,
    overrides: PackOverrides,
) -> None:
    """Measure a model on labeled pairs, or compare two photos.

    Exit code 0 means that the comparison was made, for either verdict; 3 that a photo has no face.
    """
    from facerec_cli.images import quiet_decoders
    from facerec_cli.metrics.thresholds import save_card
    from facerec_cli.packs.resolve import open_pack
    from facerec_cli.verify.json_document import to_document, write_scores
    from facerec_cli.verify.photos import Verdict
    from facerec_cli.verify.run import verify as run
    from facerec_cli.verify.settings import VerifySettings

    outputs = {
        flag: path
        for flag, path in (("--scores", scores), ("--report", report), ("--save-threshold", save_threshold))
        if path is not None
    }
    _keep_inputs(outputs, _inputs_of(inputs, model, embeddings, by, all_pairs=all_pairs))
    _check_outputs(outputs, inputs, all_pairs=all_pairs, overwrite=overwrite)
    settings = VerifySettings(
        model=None if model is None else open_pack(model, overrides=overrides),
        device=device,
        threads=threads,
        batch_size=batch_size,
        faces=faces,
        min_score=min_score,
        flip=flip,
        aligned=aligned,
        cache=cache,
        embeddings=embeddings,
        far=far,
        groups=by,
        bootstrap=bootstrap,
    )
    with quiet_decoders():
        outcome = run(
            inputs,
            settings,
            format=format,
            root=root,
            all_pairs=all_pairs,
            threshold=threshold,
            steps=lambda description, unit: console.progress_bar(description, unit=unit),
        )
    if isinstance(outcome, Verdict):
        if json_output:
            console.result_json(outcome.document())
        else:
            show_verdict(outcome)
        return
    if scores is not None:
        write_scores(outcome, scores)
    if report is not None:
        from facerec_cli.verify.report import write_report

        with quiet_decoders():  # it shows photos
            write_report(outcome, report)
    if not json_output:
        show(outcome)
    if save_threshold is not None:
        save_card(outcome.threshold(), save_threshold)
    if json_output:  # last, so that stdout has one document: the results or an error
        console.result_json(to_document(outcome))
    for path in outputs.values():
        console.note(f"written: {path}")


def _check_outputs(outputs: dict[str, Path], inputs: list[Path], *, all_pairs: bool, overwrite: bool) -> None:
    """Refuse files that cannot be written before any work is done."""
    from facerec_cli.outputs import check_writable, refuse_foreign
    from facerec_cli.pairs.names import is_folder

    for flag, path in outputs.items():
        if len(inputs) == 2 and not all_pairs:
            raise UsageError(f"{flag} is for lists of pairs; two photos give one similarity.")
        if is_folder(path):
            raise UsageError(f"{flag} {path} is a folder.", hint="Name a file.")
        check_writable(flag, path, path.parent)
    scores = outputs.get("--scores")
    if scores is not None and scores.suffix.lower() not in (".csv", ".npz"):
        raise UsageError(f"--scores {scores} does not end in .csv or .npz.")
    kinds = {"--scores": "file of scores", "--report": "report", "--save-threshold": "threshold card"}
    for flag, path in outputs.items():
        refuse_foreign(kinds[flag], path, flag=flag, overwrite=overwrite)


def _keep_inputs(outputs: dict[str, Path], inputs: list[Path]) -> None:
    """Refuse an output in the place of an input or of another output."""
    read = {os.path.realpath(path) for path in inputs}
    written: dict[str, str] = {}
    for flag, path in outputs.items():
        place = os.path.realpath(path)
        if place in read:
            raise UsageError(f"{flag} {path} would overwrite an input.", hint="Name another file.")
        if place in written:
            raise UsageError(f"{written[place]} and {flag} both write {path}.", hint="Name two files.")
        written[place] = flag


def _inputs_of(
    inputs: list[Path], model: str | None, embeddings: Path | None, by: Path | None, *, all_pairs: bool
) -> list[Path]:
    """The files that a run reads, besides photos."""
    from facerec_cli.pairs.read import files_of

    read = [*((by,) if by is not None else ()), *((Path(model),) if model is not None else ())]
    if embeddings is not None:  # with its table and description
        read += [embeddings, *(embeddings.with_suffix(suffix) for suffix in (".csv", ".json"))]
    return read + (inputs if all_pairs else [file for path in inputs for file in files_of(path)])
