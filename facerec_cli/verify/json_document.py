"""The results as one JSON document, and the scores as a file; the schema is in docs/verify.md."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli._version import __version__
from facerec_cli.errors import UsageError
from facerec_cli.files import atomic_write
from facerec_cli.verify.result import Verification

MAX_FAILED_PHOTOS = 1000  # in the document


def to_document(result: Verification) -> dict[str, Any]:
    """Everything that was measured, ready for JSON."""
    evaluation = result.evaluation
    figures = evaluation.document()
    del figures["pairs"]  # which are told one by one here
    counts = evaluation.pairs
    reasons = result.embeddings.reasons
    document: dict[str, Any] = {
        "facerec": __version__,
        "source": result.source,
        "format": result.pairs.format,
        "model": asdict(result.embeddings.model),
        "settings": result.embeddings.settings,
        "photos": len(result.names),
        "pairs": counts.total,
        "same_pairs": counts.genuine,
        "different_pairs": counts.impostor,
        "failures": counts.failed,
        "failed_same_pairs": counts.failed_genuine,
        "failed_different_pairs": counts.failed_impostor,
        "failed_photos": {
            "count": len(reasons),
            "by_status": dict(Counter(reason.partition(":")[0] for reason in reasons.values())),
            "photos": [
                {"photo": result.names[i], "reason": reason}
                for i, reason in list(reasons.items())[:MAX_FAILED_PHOTOS]
            ],
        },
        "doubtful_photos": {
            "count": len(result.embeddings.doubts),
            "photos": [
                {"photo": result.names[i], "reason": reason}
                for i, reason in list(result.embeddings.doubts.items())[:MAX_FAILED_PHOTOS]
            ],
        },
        **figures,
    }
    likelihood = result.likelihood
    document["likelihood"] = None if isinstance(likelihood, str) else likelihood.document()
    if isinstance(likelihood, str):
        document["not_measurable"] = {**document["not_measurable"], "likelihood": likelihood}
    discard = result.discard
    document["discard"] = None if isinstance(discard, str) else discard.document()
    if isinstance(discard, str):
        document["not_measurable"] = {**document["not_measurable"], "discard": discard}
    if result.bootstrap:
        document["bootstrap"] = [asdict(interval) for interval in result.bootstrap]
    if result.model_threshold is not None:
        document["model_threshold"] = asdict(result.model_threshold)
    if result.doubtful_labels is not None:
        document["doubtful_labels"] = result.doubtful_labels.document()
    if result.groups is not None:
        document["groups"] = asdict(result.groups)
    return document


def write_scores(result: Verification, path: Path) -> None:
    """Write every pair: names, label, fold, score, and whether it has one.

    ``.npz`` holds ``names`` and the columns ``first``, ``second`` (indices into ``names``), ``same``,
    ``fold`` (-1 without folds), ``score`` (NaN for a failure) and ``failed``; ``.csv`` the same
    with names in place. Scores are written with all their digits, so the thresholds of the
    report tell them apart in the same way.

    Raises:
        UsageError: Another suffix, or all pairs of a folder that were too many to list.
        OutputError: The file cannot be written.
    """
    pairs, scores, failed = result.pairs, result.scores, result.failed
    if scores is None or failed is None:
        raise UsageError("--scores takes lists and folders of at most two million pairs.")
    if path.suffix.lower() not in (".csv", ".npz"):
        raise UsageError(f"--scores {path} does not end in .csv or .npz.")
    if pairs.templates is not None:
        names = np.array([str(name) for name in pairs.templates.names])
    else:
        names = np.array(result.names)
    fold = np.full(len(pairs), -1) if result.fold is None else result.fold
    with atomic_write(path, what="file of scores") as stream:
        if path.suffix.lower() == ".npz":
            np.savez_compressed(
                stream,
                names=names,
                first=pairs.first,
                second=pairs.second,
                same=pairs.same,
                fold=fold,
                score=np.where(failed, np.float32(np.nan), scores),
                failed=failed,
            )
            return
        text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        table = csv.writer(text, lineterminator="\n")
        quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        table.writerow(("first", "second", "same", "fold", "score", "failed"))
        columns = (pairs.first, pairs.second, pairs.same, fold, scores.astype(np.float64), failed)
        for a, b, same, number, score, fault in zip(*(c.tolist() for c in columns), strict=True):
            folded = "" if number < 0 else number
            value = "" if fault else repr(score)
            # Before Python 3.13 a lone carriage return in a name is not quoted.
            rows = quoted if "\r" in names[a] + names[b] else table
            rows.writerow((names[a], names[b], int(same), folded, value, int(fault)))
        text.flush()
        text.detach()
