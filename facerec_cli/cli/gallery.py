"""``facerec gallery``: enrolled people, from their photos to their removal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import gallery_upkeep, gallery_view
from facerec_cli.cli.command import command
from facerec_cli.cli.console import note, progress_bar, result, result_json, warn
from facerec_cli.cli.group import CONTEXT, Group
from facerec_cli.cli.options import GalleryName, Json, OptionalModel
from facerec_cli.cli.signature import Shown
from facerec_cli.gallery.settings import ENROLLED, EnrollSettings
from facerec_cli.option import Option

app = typer.Typer(
    cls=Group,
    help="Enroll people, look after them, and remove them.",
    no_args_is_help=True,
    context_settings=CONTEXT,
)

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUTS",
        help="Photos, folders, lists of paths (.txt), a CSV of path,person, - for a list on standard input, "
        "or what `facerec embed` and `facerec gallery export` wrote.",
        show_default=False,
    ),
]
PersonName = Annotated[str, typer.Argument(metavar="PERSON", help="A person of the gallery.")]
People = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PERSON",
        help="People of the gallery; - for a list on standard input, a name a line.",
        show_default=False,
    ),
]
WhoIsShown = Annotated[
    str,
    Option(
        "Whom photos show: folder (the name of the subfolder, or of each of several folders that have none), "
        "xmp (named regions of photo managers), or a CSV of path,person.",
        panel=ENROLLED,
        metavar="folder|xmp|FILE",
    ),
]
OnePerson = Annotated[str, Option("All of these photos show this person.", panel=ENROLLED, metavar="NAME")]


@app.command()
@command
def enroll(
    gallery: GalleryName,
    inputs: Inputs = None,
    *,
    people: WhoIsShown = "folder",
    person: OnePerson = "",
    model: Annotated[
        OptionalModel, Shown("A pack's name, folder or ONNX file (default: the gallery's).")
    ] = None,
    settings: EnrollSettings,
    json_output: Json = False,
) -> None:
    """Enroll people by their photos, a folder a person; a new gallery is made where there is none.

    The same command goes on after an interruption: photos that are enrolled already are duplicates. Exit
    code 5 means that some photos were not enrolled; the rows say why.
    """
    import dataclasses

    from facerec_cli.gallery.enroll import enroll as run
    from facerec_cli.images import quiet_decoders

    with quiet_decoders():
        done = run(
            gallery,
            inputs or [],
            people=people,
            person=person,
            settings=dataclasses.replace(settings, model=model),
            steps=progress_bar,
        )
    if json_output:
        result_json(done.document())
    else:
        gallery_view.show_enrollment(done)
    if done.fault:
        raise done.fault


@app.command("list")
@command
def list_(
    gallery: Annotated[
        str | None, typer.Argument(metavar="GALLERY", help="A gallery; without one, those of this folder.")
    ] = None,
    json_output: Json = False,
) -> None:
    """List the people of a gallery, or the galleries of this folder."""
    from facerec_cli.gallery.gallery import open_gallery
    from facerec_cli.gallery.info import SUFFIX

    if gallery is None:
        gallery_view.show_galleries(sorted(Path().glob(f"*{SUFFIX}")), json_output=json_output)
        return
    with open_gallery(gallery) as opened:
        people = opened.people()
        if json_output:
            result_json({"gallery": str(opened.path), "people": [gallery_view.person(p) for p in people]})
        else:
            gallery_view.show_people(people)


@app.command()
@command
def show(
    gallery: GalleryName,
    person: Annotated[str | None, typer.Argument(metavar="PERSON", help="One of the people.")] = None,
    json_output: Json = False,
) -> None:
    """Show what a gallery is bound to and how it is calibrated, or the faces of a person."""
    from facerec_cli.gallery.gallery import open_gallery

    with open_gallery(gallery) as opened:
        if person is None:
            document = gallery_view.gallery_document(opened)
            result_json(document) if json_output else gallery_view.show_gallery(document)
            return
        found, faces = opened.person(person), opened.faces(person)
    if json_output:
        result_json({**gallery_view.person(found), "photos": [gallery_view.face(face) for face in faces]})
    else:
        gallery_view.show_person(found, faces)


@app.command()
@command
def rename(
    gallery: GalleryName,
    person: PersonName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What they are called from now on.")],
    forget_paths: Annotated[
        bool,
        Option(
            "Also forget where their photos are, for folders are often called as people are; then an upgrade "
            "takes kept crops (--crops), and `export -o xmp` passes them over."
        ),
    ] = False,
    json_output: Json = False,
) -> None:
    """Call a person something else, and overwrite the old name."""
    from facerec_cli.gallery.gallery import open_gallery

    with open_gallery(gallery, write=True) as opened:
        mentions = opened.rename(person, name, forget_paths=forget_paths)
    if json_output:
        result_json({"person": person, "name": name, "old_name_in": list(mentions)})
        return
    result(f"{person} is called {name} now")
    if mentions:
        warn(
            f"the old name can still be read in {'; '.join(mentions[:3])}; --forget-paths forgets paths, and "
            "then an upgrade takes kept crops, and no face region is written for these faces"
        )


@app.command("note")
@command
def note_(
    gallery: GalleryName,
    person: PersonName,
    text: Annotated[
        str | None, Option("Such as where the consent is; '' takes it away.", flag="--note")
    ] = None,
    expires: Annotated[
        str | None,
        Option("The day from which on they are not searched for any more; '' for never.", metavar="DATE"),
    ] = None,
    json_output: Json = False,
) -> None:
    """Keep a note or an expiry date with a person."""
    from facerec_cli.errors import UsageError
    from facerec_cli.gallery.gallery import open_gallery

    if text is None and expires is None:
        raise UsageError("Nothing is said to be kept.", hint="Give --note TEXT or --expires 2027-12-31.")
    with open_gallery(gallery, write=True) as opened:
        opened.annotate(person, expires=expires, note=text)
        found = opened.person(person)
    result_json(gallery_view.person(found)) if json_output else gallery_view.show_people([found])


@app.command()
@command
def merge(
    gallery: GalleryName,
    person: PersonName,
    into: Annotated[str, typer.Argument(metavar="INTO", help="The person whose faces they become.")],
    json_output: Json = False,
) -> None:
    """Make one person of two: all faces are those of INTO, and the name of the first is gone."""
    from facerec_cli.gallery.gallery import open_gallery

    with open_gallery(gallery, write=True) as opened:
        opened.merge(person, into)
        found = opened.person(into)
    if json_output:
        result_json(gallery_view.person(found))
    else:
        result(f"{person} was merged into {into}, who has {gallery_view.faces_of(found)} now")


@app.command()
@command
def split(
    gallery: GalleryName,
    faces: Annotated[
        list[int],
        typer.Argument(metavar="FACE", help="Numbers of faces, as `facerec gallery show` has them."),
    ],
    name: Annotated[str, typer.Option("--into", metavar="NAME", help="The new person.", show_default=False)],
    json_output: Json = False,
) -> None:
    """Make some faces of a person those of a new one."""
    from facerec_cli.gallery.gallery import open_gallery

    with open_gallery(gallery, write=True) as opened:
        found = opened.split(faces, name)
    if json_output:
        result_json(gallery_view.person(found))
    else:
        result(f"{found.name} is a person with {gallery_view.faces_of(found)} now")


@app.command()
@command
def remove(
    gallery: GalleryName,
    people: People = None,
    source: Annotated[
        str, Option("A list of people, a name a line; - for standard input.", flag="--from", metavar="FILE")
    ] = "",
    expired: Annotated[bool, Option("Also everybody whose date has passed.")] = False,
    json_output: Json = False,
) -> None:
    """Erase people: vectors and crops are overwritten, caches cleaned, and all is read again as proof.

    Copies of the gallery elsewhere, backups and the photos themselves are not touched. Exit code 8 means that
    something of a person is left, where, and what to do. Nobody is removed where one name is misspelt.
    """
    from facerec_cli.errors import OutputError
    from facerec_cli.gallery.gallery import open_gallery
    from facerec_cli.gallery.removal import remove_people, what_to_do

    with open_gallery(gallery, write=True) as opened:
        proofs = remove_people(opened, people or (), source=source, expired=expired)
    if json_output:
        result_json({"removed": [proof.document() for proof in proofs]})
    else:
        for proof in proofs:
            gallery_view.show_removal(proof)
        if not proofs:
            note("Nobody's date has passed: nobody was removed.")
    left = [proof for proof in proofs if proof.left]
    if left:
        places = dict.fromkeys(place for proof in left for place in proof.left)
        files = dict.fromkeys(file for proof in left for file in proof.by_hand)
        raise OutputError(
            f"Something is left: {'; '.join(places)}.",
            hint=what_to_do(opened, [proof.person for proof in left], list(files)),
        )


for _command in (
    gallery_upkeep.check,
    gallery_upkeep.calibrate,
    gallery_upkeep.export,
    gallery_upkeep.upgrade,
    gallery_upkeep.index,
):
    app.command()(_command)
