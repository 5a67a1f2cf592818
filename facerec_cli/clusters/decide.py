"""Decisions of a review carried out on groups of faces, and the log of them."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from facerec_cli.clusters.clustering import Clustering
from facerec_cli.files import write_file
from facerec_cli.review.decisions import Decisions
from facerec_cli.review.face_key import face_keys
from facerec_cli.review.regroup import JUNK, regroup
from facerec_cli.untrusted import parse_json

LOG = ".decisions.jsonl"
"""What the name of the log ends in; it lies beside the result."""


def apply_decisions(found: Clustering, decisions: Decisions) -> Clustering:
    """The groups after decisions; the groups before are ``undecided`` of it.

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
    margin = np.where(done.groups == found.labels, found.margin, np.float32(np.nan))
    return replace(
        found,
        labels=done.groups,
        status=tuple(status),
        person=person,
        margin=margin,
        undecided=found,
        decisions=decisions,
    )


def write_log(decisions: Decisions, result: Path) -> Path:
    """Note what was carried out in a file of JSON lines beside a result, a line a decision.

    What it tells of this result already is not told again, so that to apply decisions twice adds nothing.

    Raises:
        OutputError: It cannot be written.
    """
    path = result.with_name(f"{result.name}{LOG}")
    lines: list[str] = []
    with suppress(OSError, ValueError):
        lines = path.read_text(encoding="utf-8").splitlines()
    told = set()
    for line in lines:
        with suppress(ValueError):
            entry = parse_json(line)
            told.add(json.dumps(entry.get("decision") if isinstance(entry, dict) else None, sort_keys=True))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    fresh = [one.document() for one in decisions.items]
    fresh = [one for one in fresh if json.dumps(one, sort_keys=True) not in told]
    lines += [
        json.dumps({"applied": now, "file": decisions.path, "result": result.name, "decision": one})
        for one in fresh
    ]
    if fresh:
        write_file(path, "".join(f"{line}\n" for line in lines).encode(), what="log of decisions")
    return path
