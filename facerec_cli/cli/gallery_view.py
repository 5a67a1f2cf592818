"""What galleries look like on the terminal and as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facerec_cli.cli.console import detail, note, result, result_json, result_table, warn
from facerec_cli.wording import counted, percent
from facerec_cli.wording import people as counted_people

if TYPE_CHECKING:
    from facerec_cli.gallery.check import GalleryCheck
    from facerec_cli.gallery.enrollment import Enrollment
    from facerec_cli.gallery.erase import RemovalProof
    from facerec_cli.gallery.gallery import Gallery
    from facerec_cli.gallery.person import GalleryFace, Person
    from facerec_cli.gallery.search_engines.index import BuiltIndex
    from facerec_cli.gallery.sidecars import Sidecar
    from facerec_cli.gallery.upgraded import UpgradedGallery
    from facerec_cli.metrics.search_threshold import SearchThreshold


_REMARKS = 10
_NAMED = 5


def person(one: Person) -> dict[str, Any]:
    """A person for ``--json``."""
    return {**asdict(one), "expired": one.expired}


def face(one: GalleryFace) -> dict[str, Any]:
    """A face for ``--json``; where its vector lies is of no use outside."""
    values = asdict(one)
    del values["row"]
    return values


def faces_of(one: Person) -> str:
    """How many faces a person has, in words."""
    return counted(one.faces, "face")


def show_enrollment(done: Enrollment) -> None:
    """A line for each photo that was not enrolled, for some that were with a remark, and the numbers."""
    for photo in done.photos:
        if not photo.enrolled:
            reason = f": {photo.reason}" if photo.reason else ""
            result(f"{photo.path}: {photo.status}{reason}")
        else:
            detail(f"{photo.path}: {photo.status}, {photo.person}")
    for photo in done.remarks[:_REMARKS]:
        result(f"{photo.path}: {photo.status}, {photo.person}: {photo.reason}")
    if len(done.remarks) > _REMARKS:
        result(f"{len(done.remarks) - _REMARKS:,} more with a remark: --json has them")
    statuses = ", ".join(f"{count:,} {status}" for status, count in done.statuses.items())
    result(f"{counted(len(done.photos), 'photo')}: {statuses}")
    if done.named:
        more = len(done.named) - _NAMED
        others = f" and {counted_people(more)} more" if more > 0 else ""
        result(f"enrolled: {', '.join(done.named[:_NAMED])}{others}")
    if done.people:
        result(f"{done.gallery}: {counted_people(done.people)}, {counted(done.faces, 'face')}")


def show_galleries(folders: Sequence[Path], *, json_output: bool) -> None:
    """The galleries of a folder; one that cannot be opened is told with the reason."""
    from facerec_cli.errors import FacerecError
    from facerec_cli.gallery.gallery import open_gallery

    rows = []
    for folder in folders:
        try:
            with open_gallery(folder) as opened:
                people = opened.people()
                faces = sum(one.faces for one in people)
                rows.append({"gallery": opened.name, "people": len(people), "faces": faces,
                             "model": opened.info.model, "fault": ""})  # fmt: skip
        except FacerecError as fault:
            rows.append({"gallery": folder.stem, "people": None, "faces": None, "model": "",
                         "fault": fault.message})  # fmt: skip
    if json_output:
        result_json({"galleries": rows})
    elif not rows:
        note("There is no gallery in this folder. Make one: facerec gallery enroll staff people/")
    else:
        cells = [tuple("" if cell is None else str(cell) for cell in row.values()) for row in rows]
        columns = list(rows[0])
        if not any(row["fault"] for row in rows):
            columns.remove("fault")
        result_table([row[: len(columns)] for row in cells], columns=columns, right=["people", "faces"])


def show_people(people: Sequence[Person]) -> None:
    """A table of people; columns that nobody uses are left out."""
    columns = [
        ("person", "name"),
        ("faces", "faces"),
        ("enrolled", "created"),
        ("expires", "expires"),
        ("note", "note"),
    ]
    used = [(title, key) for title, key in columns if any(getattr(one, key) for one in people)]
    if not people:
        note("Nobody is enrolled.")
        return
    mark = {one.id: " (expired)" if one.expired else "" for one in people}
    rows = [
        tuple(str(getattr(one, key)) + (mark[one.id] if key == "expires" else "") for _, key in used)
        for one in people
    ]
    result_table(rows, columns=[title for title, _ in used], right=["faces"])


def gallery_document(gallery: Gallery) -> dict[str, Any]:
    """What a gallery is, for ``--json``."""
    people = gallery.people()
    info = gallery.info
    return {
        "gallery": str(gallery.path),
        "people": len(people),
        "faces": sum(one.faces for one in people),
        "model": {"name": info.model, "sha256": info.model_sha256},
        "dimensions": info.dimensions,
        "settings": dict(info.settings),
        "template": info.template,
        "crops": info.crops,
        "created": info.created,
        "thresholds": [card.for_people(max(1, len(people))).document() for card in gallery.cards()],
    }


def show_gallery(document: dict[str, Any]) -> None:
    """The same for a person."""
    rows = [
        ("people", f"{document['people']:,}"),
        ("faces", f"{document['faces']:,}"),
        ("model", f"{document['model']['name']} ({document['model']['sha256'][:12]})"),
        ("embedding", f"{document['dimensions']} numbers"),
        ("template", document["template"]),
        ("crops", "kept" if document["crops"] else "not kept"),
        ("created", document["created"]),
    ]
    for card in document["thresholds"]:
        rows.append(("threshold", f"{card['value']:.4f}: {card['sentence']}"))
    if not document["thresholds"]:
        rows.append(("threshold", "found at each search; `facerec gallery calibrate` keeps one"))
    result_table(rows, columns=(document["gallery"], ""))


def show_person(one: Person, faces: Sequence[GalleryFace]) -> None:
    """A person with their faces, whose numbers ``gallery split`` takes."""
    show_people([one])
    rows = []
    for one_face in faces:
        numbers = ("" if n is None else f"{n:.3f}" for n in (one_face.score, one_face.norm))
        rows.append((str(one_face.id), one_face.path, *numbers, one_face.added))
    result_table(rows, columns=("face", "photo", "score", "norm", "added"), right=["face", "score", "norm"])


def show_removal(proof: RemovalProof) -> None:
    """What was erased, and what reading everything again has shown."""
    result(
        f"{proof.person}: {counted(proof.faces, 'vector')} and {counted(proof.crops, 'crop')} overwritten, "
        f"{counted(proof.cached, 'cached embedding')} deleted"
        + (", the index removed" if proof.index else "")
    )
    if proof.proven:
        hollow = proof.disk_bytes < 0.9 * proof.scanned_bytes
        zeros = f", of which {proof.disk_bytes / 1e6:,.1f} MB are on the disk" if hollow else ""
        scanned = f"{counted(proof.scanned_files, 'file')} ({proof.scanned_bytes / 1e6:,.1f} MB{zeros})"
        result(f"read again: {scanned}; no byte of the vectors, crops or name is left")
    if proof.foreign:
        warn(
            f"{counted(proof.foreign, 'file')} in the gallery's folder that facerec has not put there: it "
            "does not look whether photos among them show this person; `facerec gallery check` names them"
        )
    for mention in proof.mentions:
        warn(f"the name can still be read in {mention}")
    if proof.shared:
        warn(
            f"{counted(proof.shared, 'face')} of other people have the very same vector: one photo, two names"
        )


def show_check(done: GalleryCheck) -> None:
    """Findings, the most urgent first, each with what to do."""
    for finding in done.findings:
        result(f"{finding.kind}: {finding.message}")
        result(f"    {finding.command}")
    for kind, count in done.left_out.items():
        note(f"and {count:,} more: {kind}")
    total = f"{counted_people(done.people)} and {counted(done.faces, 'face')} were looked at"
    result(f"{total}: {counted(len(done.findings) + sum(done.left_out.values()), 'finding')}")
    if done.source:
        note(f"bounds from {done.source}")


def photos_of(card: SearchThreshold) -> str:
    """For which photos the figures of a model's impostor tail hold, as its manifest begins to say it.

    "" where it is of no tail, or the gallery's own people spoke against the model's.
    """
    if card.source != "impostor tail" or "searches for this gallery's people" in card.data:
        return ""
    name = re.split("[,;]", card.data, maxsplit=1)[0]
    return f"measured on {name}, press photos of adults" if name == "LFW" else f"measured on {name}"


def show_card(card: SearchThreshold) -> None:
    """A threshold, and what it rests on."""
    if card.value is None:
        return
    rows = [
        ("threshold", f"{card.value:.4f}"),
        ("wished", "" if card.fpir is None else f"{percent(card.fpir)} of strangers"),
        ("rests on", f"{card.source}: {card.data}"),
    ]
    if card.low is not None and card.high is not None:
        ends = f"{1000 * card.low:,.0f} to {1000 * card.high:,.0f}"
        rows.append(("95 % interval", f"{ends} of the next 1,000 strangers get a name"))
    result_table(rows, columns=("search", ""))
    result(card.sentence())
    if photos_of(card):
        note(f"From the model's scores of two people, {photos_of(card)}: with other photos it may be wrong.")
    for text in filter(None, (card.caution, "" if card.measurable else card.reason)):
        warn(text)


def show_sidecars(sidecars: Sequence[Sidecar], *, json_output: bool) -> None:
    """What became of each photo's sidecar.

    Raises:
        PartialFailure: Some could not be written.
    """
    from facerec_cli.errors import PartialFailure

    failed = [one for one in sidecars if one.status == "failed"]
    if json_output:
        result_json({"photos": [asdict(one) for one in sidecars]})
    else:
        for one in sidecars:
            if one.reason:
                result(f"{one.photo or 'no path'}: {one.status}: {one.reason}")
        done = len(sidecars) - len(failed)
        result(f"face regions of {counted(done, 'photo')} are in .xmp files beside them")
    if failed:
        raise PartialFailure(
            f"{len(failed):,} of {counted(len(sidecars), 'photo')} got no face regions.",
            hint="The rows above say why.",
        )


def show_upgrade(done: UpgradedGallery) -> None:
    """A line for each face that is lost, and what was made."""
    for lost in done.lost:
        result(f"{lost.path or f'face {lost.id}'} ({lost.person}): {lost.reason}")
    if not done.done:
        return
    sources = ", ".join(f"{count:,} from {source}" for source, count in done.sources.items())
    result(f"{done.gallery}: {counted(done.faces, 'face')} embedded with {done.model} ({sources})")
    if done.cards:
        note(f"{counted(done.cards, 'threshold')} of {done.before} dropped: facerec gallery calibrate")


def show_index(built: BuiltIndex) -> None:
    """What an index misses."""
    one = built.chosen
    rows = [
        (
            "measured on",
            f"{counted_people(one.mated + one.strangers)} drawn: {one.mated:,} stay enrolled without the "
            f"face searched for, {one.strangers:,} are taken out as strangers",
        ),
        ("compared exactly", f"{one.candidates:,} of the {counted_people(one.people)} left enrolled"),
        ("right first person", f"{percent(one.first)} of {one.mated + one.strangers:,} held-out searches"),
        (
            "named, exact and index",
            f"{one.named_exact:,} and {one.named_index:,} of {one.mated:,} mated searches",
        ),
        (
            "strangers named, exact and index",
            f"{one.false_exact:,} and {one.false_index:,} of {one.strangers:,}",
        ),
        ("threshold", f"{one.threshold:.4f}, {one.threshold_source}"),
    ]
    result_table(rows, columns=("index", ""))
    if not built.met:
        warn("the wished recall is not reached; searches through the index miss people")
