"""What grouping came to: a row a face, and the same as one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli._version import __version__
from facerec_cli.clusters.threshold import LinkThreshold
from facerec_cli.embed.summary import UNREADABLE, unreadable
from facerec_cli.embeddings.records import BOX
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import FacerecError
from facerec_cli.metrics.clustering import ClusteringQuality
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.review.decisions import Decisions

COLUMNS = {
    "path": str, "face": int, "status": str, "cluster": int, "person": str, "margin": float, "reason": str,
}  # fmt: skip
"""The columns of a table of groups, in order, and what is in them."""

FACE_STATUSES = ("grouped", "single", "known", "junk")
"""What a face can be: in a group, alone, named by the gallery, or told to be no face that counts."""

_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Clustering:
    """Faces with their groups.

    Attributes:
        faces: F faces, and the photos without one, as ``embed`` has them.
        labels: (F,) int64, the group of each face, from 0; a single face has one of its own; -1 for junk.
        status: F of ``FACE_STATUSES``.
        person: F names; "" where nobody is named.
        margin: (F,) float32, see ``grouping``; NaN where there is nothing to compare with.
        threshold: The mean similarity from which on two groups are one.
        known_from: From which score on the gallery gives a name; None without a gallery.
        kept: Rows of an earlier result whose faces are not among these.
        quality: How good the groups are, where it was measured.
        provider: What the encoder ran on; "" where nothing was embedded.
        decisions: What a person decided about the groups, carried out; None where nothing was.
        undecided: The groups before that.
    """

    faces: EmbeddingTable
    labels: NDArray[np.int64]
    status: tuple[str, ...]
    person: tuple[str, ...]
    margin: NDArray[np.float32]
    threshold: LinkThreshold
    known_from: SearchThreshold | None = None
    kept: tuple[Mapping[str, Any], ...] = ()
    quality: ClusteringQuality | None = None
    provider: str = ""
    decisions: Decisions | None = None
    undecided: Clustering | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, face: int) -> str:
        """The photo of a face; of plain arrays the number of its row."""
        return self.faces.paths[face] if self.faces.paths is not None else str(face)

    def number(self, face: int) -> int:
        """Which face of its photo it is."""
        return max(0, int(self.faces.numbers[face]))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the table of groups, with the keys of ``COLUMNS`` that have a value.

        A face has a row, and so has a photo without one; rows of an earlier result come last.
        """
        for face in range(len(self)):
            row: dict[str, Any] = {"path": self.path(face), "face": self.number(face)}
            row["status"] = self.status[face]
            if self.labels[face] >= 0:
                row["cluster"] = int(self.labels[face])
            if self.person[face]:
                row["person"] = self.person[face]
            if np.isfinite(self.margin[face]):
                row["margin"] = round(float(self.margin[face]), _DIGITS)
            if self.faces.statuses[face] not in ("", "ok"):
                row["reason"] = f"{self.faces.statuses[face]}: {self.faces.reasons[face]}"
            yield row
        for path, reason in self.faces.failed.items():
            status, _, why = reason.partition(": ")
            yield {"path": path, "status": status, **({"reason": why} if why else {})}
        for kept in self.kept:
            yield dict(kept)

    @cached_property
    def groups(self) -> dict[int, NDArray[np.int64]]:
        """Number of a group -> its faces, in the order of the numbers."""
        if not len(self.labels):
            return {}
        order = np.argsort(self.labels, kind="stable")
        used, start = np.unique(self.labels[order], return_index=True)
        parts = np.split(order, start[1:])[: len(used)]  # of nothing one part is made
        return {int(label): part for label, part in zip(used, parts, strict=True) if label >= 0}

    @cached_property
    def statuses(self) -> Counter[str]:
        """How many faces, and photos without one, have each status."""
        failed = (reason.partition(": ")[0] for reason in self.faces.failed.values())
        return Counter([*self.status, *failed])

    @property
    def photos(self) -> int:
        """How many photos there are."""
        own = len(self) if self.faces.paths is None else len(set(self.faces.paths))
        return own + len(self.faces.failed)

    @property
    def fault(self) -> FacerecError | None:
        """What a program should end with: nothing, or that some or all photos could not be read."""
        bad = {status: count for status, count in self.statuses.items() if status in UNREADABLE}
        return unreadable(bad, self.photos, "photo", hint="The column reason of -o, and --json, say why.")

    def document(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        fault = self.fault
        sizes = Counter(len(faces) for faces in self.groups.values())
        return {
            "facerec": __version__,
            "source": self.faces.source,
            "model": asdict(self.faces.model),
            "threshold": self.threshold.document(),
            "known_from": None if self.known_from is None else self.known_from.document(),
            "photos": self.photos,
            "faces": len(self),
            "statuses": dict(self.statuses),
            "clusters": len(self.groups),
            "quality": None if self.quality is None else self.quality.document(),
            "sizes": {str(size): sizes[size] for size in sorted(sizes)},
            "rows": [row | self._box(face) for face, row in enumerate(self.rows())],
            "exit_code": fault.exit_code if fault else 0,
            "message": str(fault) if fault else "",
        }

    def _box(self, face: int) -> dict[str, Any]:
        """Where a face is, for the document."""
        if face >= len(self) or not np.isfinite(self.faces.boxes[face]).all():
            return {}
        box = dict(zip(BOX, self.faces.boxes[face].tolist(), strict=True))
        return {"box": [round(box[name], 2) for name in BOX]}
