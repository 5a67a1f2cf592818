"""What a search came to: a row a face, and the same as one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli._version import __version__
from facerec_cli.embed.summary import UNREADABLE, unreadable
from facerec_cli.embeddings.records import BOX
from facerec_cli.embeddings.shards import Shard
from facerec_cli.errors import FacerecError, PartialFailure
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.metrics.search_threshold import SearchThreshold
from facerec_cli.wording import counted

COLUMNS = ("path", "face", "status", "decision", "person", "score", "margin", "rank", *BOX, "reason")
"""The columns of a table of results, in order."""

_DIGITS = 6
_MOST_TOLD = 1000  # of photos that are enrolled themselves


@dataclass(frozen=True, eq=False)
class Identification:
    """The candidates of each face that was searched for.

    Attributes:
        gallery: What was searched in.
        probes: The faces, and the photos without one; R records, F of them with a face.
        people: (F, K) int64, number of each candidate, the best first; -1 where there are fewer than K.
        scores: (F, K) float32 cosines; -inf likewise.
        threshold: From which score on a face gets a name; None makes no claim.
        shown: How many candidates are told of each face, at most K.
        provider: What the encoder ran on; "" where nothing was embedded.
        without: People of the gallery who have no usable photo -> why.
        enrolled: Photos that were searched for and are enrolled themselves, which find themselves.
    """

    gallery: EnrolledPeople
    probes: Shard
    people: NDArray[np.int64]
    scores: NDArray[np.float32]
    threshold: SearchThreshold | None = None
    shown: int = 5
    provider: str = ""
    without: dict[str, str] = field(default_factory=dict)
    enrolled: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """(F,) bool, faces that get a name; none where no claim is made."""
        if self.threshold is None:
            return np.zeros(len(self), bool)
        return self.scores[:, 0] >= self.least

    @cached_property
    def margins(self) -> NDArray[np.float32]:
        """(F,) float32, by how much the best candidate is above the second; NaN in a gallery of one."""
        if self.scores.shape[1] < 2:
            return np.full(len(self), np.nan, np.float32)
        second = self.scores[:, 1]
        return np.where(np.isfinite(second), self.scores[:, 0] - second, np.float32(np.nan))

    @cached_property
    def near_ties(self) -> NDArray[np.int64]:
        """Faces for which a second person reaches the threshold too."""
        if self.threshold is None or self.scores.shape[1] < 2:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.scores[:, 1] >= self.least)

    @cached_property
    def _is_tie(self) -> NDArray[np.bool_]:
        """(F,) bool, the same faces."""
        ties = np.zeros(len(self), bool)
        ties[self.near_ties] = True
        return ties

    @property
    def least(self) -> float:
        """The score from which on a face gets a name, where there is one."""
        assert self.threshold is not None and self.threshold.value is not None, "a claim needs a threshold"
        return self.threshold.value

    def candidates(self, face: int) -> list[tuple[str, float]]:
        """The people that are told of a face with their scores, the best first."""
        pairs = zip(self.people[face, : self.shown], self.scores[face, : self.shown], strict=True)
        return [(self.gallery.names[who], float(score)) for who, score in pairs if who >= 0]

    def faces(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Each record with the number of its face; -1 for a photo without one."""
        number = 0
        for record in self.probes.rows:
            yield record, (number if "face" in record else -1)
            number += "face" in record

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the table of results, with the keys of ``COLUMNS`` that have a value.

        A face has a row; where no claim is made it has one for each candidate.
        """
        for record, face in self.faces():
            told = {
                key: record[key] for key in COLUMNS if record.get(key) not in (None, "") and key != "score"
            }
            if face < 0:
                yield told
            elif self.threshold is None:
                for rank, (person, score) in enumerate(self.candidates(face), 1):
                    margin = {"margin": self._margin(face)} if rank == 1 else {}
                    yield {**told, "person": person, "score": round(score, _DIGITS), **margin, "rank": rank}
            else:
                named = bool(self.known[face])
                who = {"person": self.gallery.names[self.people[face, 0]], "rank": 1} if named else {}
                decision = "known" if named else "unknown"
                score = round(float(self.scores[face, 0]), _DIGITS)
                yield {**told, "decision": decision, **who, "score": score, "margin": self._margin(face)}

    def _margin(self, face: int) -> float | None:
        margin = float(self.margins[face])
        return round(margin, _DIGITS) if np.isfinite(margin) else None

    @cached_property
    def statuses(self) -> Counter[str]:
        """How many photos have each status."""
        return self.probes.statuses()

    @property
    def fault(self) -> FacerecError | None:
        """What a program should end with: nothing, or that some or all photos could not be read."""
        bad = {status: count for status, count in self.statuses.items() if status in UNREADABLE}
        return unreadable(
            bad, self.statuses.total(), "photo", hint="The column reason of -o, and --json, say why."
        )

    def unknown_fault(self) -> FacerecError | None:
        """What a program should end with that was asked to fail where a face is of nobody in the gallery."""
        unknown = 0 if self.threshold is None else len(self) - int(self.known.sum())
        if not unknown:
            return None
        return PartialFailure(f"{unknown:,} of {counted(len(self), 'face')} are of nobody in the gallery.")

    def document(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        fault = self.fault
        known = int(self.known.sum())
        return {
            "facerec": __version__,
            "gallery": {
                "source": self.gallery.source,
                "people": len(self.gallery),
                "faces": int(self.gallery.faces.sum()),
                "without_a_photo": self.without,
            },
            "model": asdict(self.gallery.model),
            "settings": dict(self.gallery.settings),
            "mode": "investigate" if self.threshold is None else "identify",
            "threshold": None if self.threshold is None else self.threshold.document(),
            "photos": self.statuses.total(),
            "statuses": dict(self.statuses),
            "faces": len(self),
            "known": known,
            "unknown": None if self.threshold is None else len(self) - known,
            "near_ties": len(self.near_ties),
            "enrolled_themselves": list(self.enrolled[:_MOST_TOLD]),
            "rows": [self._row(record, face) for record, face in self.faces()],
            "exit_code": fault.exit_code if fault else 0,
            "message": str(fault) if fault else "",
        }

    def _row(self, record: dict[str, Any], face: int) -> dict[str, Any]:
        """A face, or a photo without one, for the document."""
        told: dict[str, Any] = {
            "path": record["path"],
            "status": record["status"],
            "reason": record.get("reason") or "",
        }
        if face < 0:
            return told
        told |= {"face": record["face"], "box": [record[name] for name in BOX] if BOX[0] in record else None}
        if self.threshold is not None:
            named = bool(self.known[face])
            told["decision"] = "known" if named else "unknown"
            told["person"] = self.gallery.names[self.people[face, 0]] if named else None
            told["near_tie"] = bool(self._is_tie[face])
        told |= {"score": round(float(self.scores[face, 0]), _DIGITS), "margin": self._margin(face)}
        told["candidates"] = [
            {"person": person, "score": round(score, _DIGITS)} for person, score in self.candidates(face)
        ]
        return told
