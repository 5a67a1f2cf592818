"""What was measured with a pack: documents of ``facerec verify --json`` in ``evaluations/`` of its folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Annotated, Any

from facerec_cli.errors import ModelError
from facerec_cli.packs.foreign import inside
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import EVALUATIONS
from facerec_cli.packs.resolve import pack_hash
from facerec_cli.settings import Option, convert
from facerec_cli.untrusted import parse_json

log = logging.getLogger("facerec")

_ADVICE = "It is not what `facerec verify --json` prints."
_Others = Annotated[dict[str, Any], Option(others=True)]


@dataclass(frozen=True, slots=True)
class StoredRate:
    """TAR at a FAR, with the ends of its interval; None where it was not measurable."""

    far: float
    tar: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    others: _Others = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredAccuracy:
    """The mean over folds, and what it is called."""

    mean: float | None = None
    standard_error: float | None = None
    kind: str | None = None
    others: _Others = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """What is read of an evaluation; ``others`` has the rest of it."""

    source: str | None = None
    model: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    accuracy: StoredAccuracy | None = None
    eer: float | None = None
    auc: float | None = None
    pairs: int | None = None
    different_pairs: int | None = None
    failed_different_pairs: int | None = None
    failures: int | None = None
    tar_at_far: tuple[StoredRate, ...] | None = None
    others: _Others = field(default_factory=dict)


def read_evaluations(pack: ModelPack) -> list[tuple[str, StoredEvaluation]]:
    """The evaluations stored beside the pack, by file name.

    Those that are not what ``facerec verify --json`` prints, and those that were made with another model, are
    left out and named in the log.
    """
    stored = []
    identity = pack_hash(pack)
    for path in sorted((pack.folder / EVALUATIONS).glob("*.json")):
        try:
            inside(pack.folder, path)
            document = parse_json(path.read_text(encoding="utf-8"))
            evaluation = convert(document, StoredEvaluation, error=ModelError, advice=_ADVICE)
        except (OSError, ValueError, ModelError) as fault:
            log.warning("%s is left out: %s", path, fault)
            continue
        measured = (evaluation.model or {}).get("sha256")
        if measured and measured != identity:
            log.warning("%s is left out: it was measured with another model.", path)
            continue
        stored.append((path.stem, evaluation))
    return stored
