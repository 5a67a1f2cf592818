"""Decisions of a review carried out on groups of faces."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from facerec_cli.clusters.clustering import Clustering
from facerec_cli.review.decisions import Decisions
from facerec_cli.review.face_key import face_keys
from facerec_cli.review.regroup import JUNK, regroup


def apply_decisions(found: Clustering, decisions: Decisions) -> Clustering:
    """The groups after decisions; the groups before are ``undecided`` of it.

    Groups keep their numbers. Of a group that faces left or joined nobody knows the margins any more; NaN.
    To apply decisions once more, to the same groups or to those that came of them, changes nothing.

    Raises:
        InputError: The decisions are about other photos or of another model, or contradict each other.
    """
    decisions.refuse_page("clusters")
    count = len(found)
    where = decisions.locate(
        [found.path(face) for face in range(count)],
        [found.number(face) for face in range(count)],
        face_keys(found.faces.vectors),
        model=found.faces.model.sha256,
    )
    names = {label: found.person[int(faces[0])] for label, faces in found.groups.items()}
    done = regroup(found.labels, {label: name for label, name in names.items() if name}, decisions, where)
    person = tuple(done.names.get(label, "") for label in done.groups.tolist())
    sizes = Counter(done.groups.tolist())
    status = []
    for face, label in enumerate(done.groups.tolist()):
        stays = found.status[face] == "known" and found.person[face] == person[face]
        named = "known" if stays else "grouped" if sizes[label] > 1 else "single"
        status.append("junk" if label == JUNK else named)
    moved = done.groups != found.labels
    changed = np.isin(done.groups, np.concatenate([found.labels[moved], done.groups[moved]]))
    known = np.array([one == "known" for one in status], bool)  # whose margin is that of a search
    margin = np.where(moved | (changed & ~known), np.float32(np.nan), found.margin)
    return replace(
        found,
        labels=done.groups,
        status=tuple(status),
        person=person,
        margin=margin,
        undecided=found,
        decisions=decisions,
    )
