"""``facerec models``: the models on this machine, and those that can be had."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec_cli.cli import completion
from facerec_cli.cli.command import command
from facerec_cli.cli.console import note, progress_bar, result, result_json, result_table, warn
from facerec_cli.cli.group import CONTEXT, Group
from facerec_cli.cli.models_view import entry_document, entry_row, facts, pack_document
from facerec_cli.cli.options import Json, Output, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.option import Option
from facerec_cli.packs.overrides import PackOverrides
from facerec_cli.registry import DEFAULT_PACK, DETECTORS

if TYPE_CHECKING:
    from facerec_cli.packs.manifest import ModelPack

app = typer.Typer(
    cls=Group,
    help="List, show, add, pull, remove and check models.",
    no_args_is_help=True,
    context_settings=CONTEXT,
)

Ref = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Registered name, pack folder or .onnx file.",
        autocompletion=completion.all_models,
    ),
]
Source = Annotated[
    Path, typer.Argument(metavar="FILE_OR_FOLDER", help="An .onnx file, also a detector's, or a pack folder.")
]
Pullable = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A model that `facerec models list` shows as to pull.",
        autocompletion=completion.pullable_models,
    ),
]
Registered = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A registered model.", autocompletion=completion.registered_models),
]
AnyModel = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="One model; all by default.", autocompletion=completion.models),
]
Commercial = Annotated[
    bool,
    Option("Only models whose weights' license allows commercial use, and no terms of their data forbid it."),
]
NewName = Annotated[str | None, Option("What to call it; its own name by default.")]
DetectorFile = Annotated[
    Path | None,
    Option(
        f"A detector's .onnx file ({', '.join(DETECTORS)}), or a model's, to go with it.",
        metavar="FILE|MODEL",
    ),
]
Card = Annotated[
    Path | None,
    Option("What `facerec verify LIST --calibrate` measured with this model, to go with it.", metavar="FILE"),
]
Encoder = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="Where the file to add is a detector: the model to find faces for.",
        show_default=DEFAULT_PACK,
    ),
]
OtherOutputName = Annotated[
    str, Option("The same as --output-name.", flag="--output", metavar="NAME", hidden=True)
]
Mirror = Annotated[
    str, typer.Option(metavar="URL|FOLDER", help="Take it from here instead.", envvar="FACEREC_MIRROR")
]
Offline = Annotated[bool, Option("Do not use the network (also FACEREC_OFFLINE=1).")]
AcceptLicense = Annotated[bool, Option("Agree to the model's terms; this is recorded.")]
Refetch = Annotated[bool, Option("Fetch it again even if it is here.")]


@app.command("list")
@command
def list_(commercial: Commercial = False, json_output: Json = False) -> None:
    """List the models on this machine and those that can be pulled."""
    from facerec_cli.packs.catalog import catalog
    from facerec_cli.packs.folders import hidden_packs

    entries = catalog(commercial=commercial)
    if json_output:
        result_json({"models": [entry_document(entry) for entry in entries]})
        return
    result_table(
        list(map(entry_row, entries)), columns=("model", "where", "license: weights / code", "trained on")
    )
    for place, owner in hidden_packs().items():
        warn(f"You may not read {place}, which belongs to {owner}; its models are missing here.")
    if any(entry.status == "to pull" for entry in entries):
        note("What one is: facerec models show NAME. Get it with: facerec models pull NAME")
    if commercial:
        note("docs/catalogue.md says by which rule, and what is not known of the data they were trained on.")


@app.command()
@command
def show(model: Ref, *, json_output: Json = False, overrides: PackOverrides) -> None:
    """Show what a model is, where it comes from and under which terms it may be used."""
    from facerec_cli.packs.catalog import find_entry
    from facerec_cli.packs.resolve import open_pack

    entry = find_entry(model.removeprefix("pack:"))
    there = entry.pack if entry is not None and entry.status == "to pull" else None
    pack = there or open_pack(model, overrides=overrides)
    status = entry.status if entry else "path"
    if json_output:
        result_json(pack_document(pack, status))
        return
    result_table(facts(pack, status), columns=(pack.name, ""))
    if there:
        note(f"Get it with: facerec models pull {pack.name}")


@app.command()
@command
def add(
    source: Source,
    name: NewName = None,
    force: Annotated[Overwrite, Shown("Replace a registered model of that name.")] = False,
    detector: DetectorFile = None,
    encoder: Encoder = "",
    card: Card = None,
    output: OtherOutputName = "",
    *,
    json_output: Json = False,
    overrides: PackOverrides,
) -> None:
    """Run a model on made pictures and copy it into the registry, so that every command takes it by name."""
    import dataclasses

    from facerec_cli.metrics.calibration_card import with_card
    from facerec_cli.store.install import register

    if output and not overrides.output_name:
        overrides = dataclasses.replace(overrides, output_name=output)
    with progress_bar(f"Trying {source}"):
        pack = register(
            source,
            name,
            force=force,
            overrides=overrides,
            detector=detector,
            encoder=encoder,
            complete=None if card is None else lambda pack: with_card(pack, card),
        )
    if json_output:
        result_json(pack_document(pack, "registered"))
    else:
        result(f"added {pack.name} in {pack.folder}")
        note(f"It works, alone and in batches. Use it with: --model {pack.name}")
        if pack.threshold is None:
            note(
                "It has no threshold yet, so two photos get a similarity but no verdict. Measure one on "
                f"labeled pairs: facerec verify PAIRS.txt --model {pack.name} "
                f"--calibrate {pack.name}.toml\nAdd it again with --card {pack.name}.toml --force."
            )


@app.command()
@command
def pull(
    name: Pullable,
    mirror: Mirror = "",
    offline: Offline = False,
    accept_license: AcceptLicense = False,
    force: Refetch = False,
    json_output: Json = False,
) -> None:
    """Download a model, check it and register it; an interrupted download goes on where it stopped."""
    from facerec_cli.packs.catalog import find_entry
    from facerec_cli.store.pull import find_known, offline_wanted
    from facerec_cli.store.pull import pull as pull_pack

    entry = find_entry(name)
    here = entry is not None and entry.status in ("registered", "insightface") and not force
    if not here:
        _settle_license(find_known(name), accept_license)
    with progress_bar(f"pulling {name}", unit="bytes") as progress:
        pack = pull_pack(
            name, mirror=mirror, offline=offline or offline_wanted(), force=force, progress=progress
        )
    if json_output:
        entry = find_entry(name)
        result_json(pack_document(pack, entry.status if entry else "registered"))
    elif here:
        result(f"{name} is here already, in {pack.folder}; its files are in order")
    else:
        result(f"pulled {name} into {pack.folder}")
        note(f"Use it with: --model {pack.name}")


@app.command()
@command
def remove(name: Registered, json_output: Json = False) -> None:
    """Delete a model that was added or pulled; never one that facerec did not put there."""
    from facerec_cli.store.install import remove as remove_pack

    folder = remove_pack(name)
    if json_output:
        result_json({"removed": name, "folder": str(folder)})
    else:
        result(f"removed {name} from {folder}")


@app.command()
@command
def check(name: AnyModel = None, json_output: Json = False) -> None:
    """Read every file of the models again, compare it with their manifests, and run them on made pictures."""
    import dataclasses

    from facerec_cli.errors import ModelError
    from facerec_cli.store.check import check as check_packs

    with progress_bar("Checking"):
        findings = check_packs(name)
    if json_output:
        result_json({"models": [dataclasses.asdict(finding) for finding in findings]})
    else:
        rows = [(f.name, f.origin, f.status, f.detail or f"identity {f.pack_hash[:12]}") for f in findings]
        result_table(rows, columns=("model", "where", "status", "detail"))
    if any(finding.status != "ok" for finding in findings):
        raise typer.Exit(ModelError.exit_code)


@app.command()
@command
def card(
    model: Ref,
    output: Annotated[
        Output, Shown("Write the card to this file instead of printing it; - prints it.")
    ] = None,
    overwrite: Overwrite = False,
    json_output: Json = False,
) -> None:
    """Write a model card (Markdown): manifest, measured error rates, data and limits."""
    from facerec_cli.packs.model_card import model_card, write_card
    from facerec_cli.packs.resolve import open_pack

    text = model_card(open_pack(model))
    if output == Path("-"):
        output = None
    if output:
        write_card(text, output, overwrite=overwrite)
        note(f"wrote {output}")
    if json_output:
        result_json({"model": model, "card": text, "output": str(output) if output else None})
    elif not output:
        result(text.rstrip("\n"))


def _settle_license(pack: ModelPack, agreed: bool) -> None:
    """Show the terms of a pack that is not free, and record the agreement or ask for it."""
    from facerec_cli.errors import UsageError
    from facerec_cli.store import licenses

    if not licenses.needs_acceptance(pack):
        return
    if not agreed and not _can_ask():
        raise licenses.refusal(pack)
    note(f"{pack.name}: {pack.license.weights}\n{pack.license.notice}")
    if not agreed and not typer.confirm("Do you agree to these terms?", err=True):
        raise UsageError(
            f"The terms of {pack.name} were not agreed to, so it was not pulled.",
            hint="Read them, and say --accept-license if you agree.",
        )
    note(f"Your agreement is recorded in {licenses.accept(pack)}")


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
