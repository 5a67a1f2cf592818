"""What groups look like on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facerec_cli.cli import console
from facerec_cli.cli.identify_view import one_line, show_sorted
from facerec_cli.wording import counted, people

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facerec_cli.clusters.clustering import Clustering
    from facerec_cli.clusters.outputs import ClusterOutputs
    from facerec_cli.gallery.sidecars import Sidecar
    from facerec_cli.identify.sorting import SortedPhotos
    from facerec_cli.metrics.clustering import ClusteringQuality


def show(found: Clustering, *, table: bool) -> None:
    """A line for each face and each photo without one, or for each group; what it rests on follows.

    Args:
        found: The groups.
        table: Whether faces are told one by one; else the first groups are.
    """
    if table:
        several = {row["path"] for row in found.rows() if row.get("face")}
        for row in found.rows():
            console.result(one_line(_line(row, several)))
    else:
        _show_groups(found)
    _sum_up(found)


def _line(row: dict[str, Any], several: set[str]) -> str:
    place = f"{row['path']} face {row['face']}" if row["path"] in several else row["path"]
    if "cluster" not in row:
        return f"{place}: {row['status']}" + (f": {row['reason']}" if row.get("reason") else "")
    who = f" {row['person']}" if row.get("person") else ""
    margin = f" margin {row['margin']:.4f}" if "margin" in row else ""
    return f"{place}: {row['status']} {row['cluster']}{who}{margin}"


_GROUPS_TOLD, _FAILED_TOLD = 20, 5


def _show_groups(found: Clustering) -> None:
    groups = [(label, faces) for label, faces in found.groups.items() if len(faces) > 1]
    for label, faces in groups[:_GROUPS_TOLD]:
        name = next((found.person[face] for face in faces.tolist() if found.person[face]), "")
        who = f" {name}" if name else ""
        console.result(
            one_line(f"group {label}{who}: {counted(len(faces), 'face')}, e.g. {found.path(faces[0])}")
        )
    if len(groups) > _GROUPS_TOLD:
        console.result(f"and {len(groups) - _GROUPS_TOLD:,} smaller groups")


def _sum_up(found: Clustering) -> None:
    groups = sum(len(faces) > 1 for faces in found.groups.values())
    parts = [counted(groups, "group"), f"{counted(found.statuses['single'], 'face')} alone"]
    if found.statuses["known"]:
        parts.append(f"{found.statuses['known']:,} known")
    if found.statuses["junk"]:
        parts.append(f"{found.statuses['junk']:,} junk")
    console.note(f"{counted(len(found), 'face')} in {counted(found.photos, 'photo')}: {', '.join(parts)}")
    if not len(found):
        console.warn("no face was found, so there is nothing to group")
        return
    console.note(found.threshold.sentence())
    if found.known_from is not None:
        console.note(f"names from a score of {found.known_from.value:.4f} on: {found.known_from.sentence()}")
    if found.decisions is not None:
        console.note(f"{counted(len(found.decisions), 'decision')} of {found.decisions.path} carried out")
    doubtful = sum(status not in ("", "ok") for status in found.faces.statuses)
    if doubtful:
        console.warn(f"{counted(doubtful, 'doubtful face')} or of low quality: they may be anywhere")
    if found.quality is not None:
        _show_quality(found.quality)
    if found.kept:
        console.note(
            f"{counted(len(found.kept), 'face')} of the earlier result, not named here, are as before"
        )


def _show_quality(quality: ClusteringQuality) -> None:
    """The figures, with their intervals over people."""
    rows = []
    for name, figure in quality.figures.items():
        if figure.value is None:
            rows.append((name.replace("_", " "), "nothing to count"))
            continue
        ends = "" if figure.low is None else f" ({100 * figure.low:.2f} to {100 * (figure.high or 0):.2f})"
        rows.append((name.replace("_", " "), f"{100 * figure.value:.2f} %{ends}"))
    rows += [
        ("groups", f"{quality.clusters:,} of {people(quality.people)}"),
        ("single faces", f"{quality.singles:,}; {people(quality.people_with_one)} with one face"),
        ("edits", f"{counted(quality.moves, 'face')} to move, {counted(quality.merges, 'group')} to merge"),
    ]
    console.result_table(rows, columns=(f"of {counted(quality.faces, 'labeled face')}", ""))


def show_files(outputs: ClusterOutputs, copied: SortedPhotos | None, sidecars: Sequence[Sidecar]) -> None:
    """Which files there are now."""
    for path in (outputs.output, outputs.report):
        if path is not None:
            console.note(f"written: {path}")
    if copied is not None:
        show_sorted(copied)
        if copied.others:
            others = counted(copied.others, "other folder")
            console.warn(f"{copied.folder} has {others}, of earlier groups or not of facerec")
    if outputs.regions:
        failed = [one for one in sidecars if one.status == "failed"]
        console.note(
            f"face regions of {counted(len(sidecars) - len(failed), 'photo')} are in .xmp files beside them"
        )
        for one in failed[:_FAILED_TOLD]:
            console.warn(f"{one.photo} got no face regions: {one.reason}")
        if len(failed) > _FAILED_TOLD:
            console.warn(f"{len(failed) - _FAILED_TOLD:,} more photos got none")
