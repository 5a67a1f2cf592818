r"""What measuring quality costs, and which measure foretells errors on a data set.

    facerec embed LFW/images --faces main -o SCRATCH/lfw.npz
    python benchmarks/quality.py curves LFW/images SCRATCH/lfw.npz --pairs LFW/pairs.txt \
        --json benchmarks/results/quality_lfw.json
    python benchmarks/quality.py cost LFW/images --json benchmarks/results/quality_cost.json

``curves`` is what ``facerec verify FOLDER --all-pairs --embeddings FILE --far RATE --json`` has under
``discard``, at several rates, and once more with each person counting once, so that those with many photos do
not decide. With ``--pairs`` also the same pairs of a list at the thresholds of all pairs. ``cost`` is CPU
time: measuring a face, and embedding photos with and without it, in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from facerec_cli.embed import EmbedOptions, embed_photos, pipeline
from facerec_cli.faces import open_model
from facerec_cli.faces.quality import NO_QUALITY, measure
from facerec_cli.faces.quality_limits import MEASURES
from facerec_cli.images import find_images
from facerec_cli.metrics.discard import PairsAtThreshold, discard_curves
from facerec_cli.metrics.discard_curve import DiscardReport
from facerec_cli.metrics.discard_pairs import judge_all, judge_list
from facerec_cli.metrics.thresholds import chosen_point
from facerec_cli.verify.result import Verification
from facerec_cli.verify.run import verify_folder, verify_list
from facerec_cli.verify.settings import VerifySettings

FARS = (0.001, 0.0001)
SHOWN = (0.0, 0.05, 0.1, 0.2, 0.3)


def curves(folder: Path, embeddings: Path, pairs: Path | None) -> dict[str, Any]:
    """The curves at each rate, of all pairs of the folder and of the list's same pairs."""
    settings = VerifySettings(embeddings=embeddings, fars=FARS)
    result = verify_folder(folder, settings)
    listed = None if pairs is None else verify_list(pairs, settings, root=folder)
    found: dict[str, Any] = {"model": result.embeddings.model.name, "photos": len(result.names), "rates": []}
    for far in FARS:
        point = chosen_point(result.evaluation, far)
        if point is None or point.threshold is None:
            found["rates"].append({"far": far, "reason": "not measurable"})
            continue
        every = replace(result, chosen=point).discard
        assert isinstance(every, DiscardReport)
        print(f"FAR {far:g}, threshold {point.threshold:.4f}: {every.sentence()}")
        show(every)
        row = {"far": far, "all_pairs": every.document()}
        row["each_person_once"] = once(result, point.threshold)
        if listed is not None:
            of_list = of_same_pairs(listed, point.threshold, far)
            print(f"same pairs of {pairs.name if pairs else ''}:")
            show(of_list)
            row["list"] = of_list.document()
        found["rates"].append(row)
    return found


def of_same_pairs(result: Verification, threshold: float, far: float) -> DiscardReport:
    """The curves of a list's pairs at a threshold of more pairs."""
    assert result.scores is not None and result.failed is not None and result.embeddings.measures is not None
    use, pairs = ~result.failed, result.pairs
    sides = pairs.first[use], pairs.second[use]
    judged = judge_list(result.scores[use], pairs.same[use], sides, result.people_of_pairs()[0], threshold)
    measures = {name: result.embeddings.measures[:, at] for at, name in enumerate(MEASURES)}
    return discard_curves(judged, measures, threshold=threshold, far=far)


def once(result: Verification, threshold: float) -> dict[str, Any]:
    """The mean over people of their own rate, of all pairs and without the worst tenth of them by norm."""
    people, measures = result.pairs.identity, result.embeddings.measures
    assert people is not None and measures is not None
    judged = judge_all(result.embeddings.vectors, people, threshold, failed=result.embeddings.failed)
    assert isinstance(judged, PairsAtThreshold)
    norms = measures[:, MEASURES.index("norm")]
    quality = np.minimum(norms[judged.same[0]], norms[judged.same[1]])
    who = np.unique(judged.person, return_inverse=True)[1]
    weight = 1 / np.bincount(who)[who]
    order = np.argsort(quality, kind="stable")
    total = np.cumsum(weight[order]) / weight.sum()
    kept = np.empty(len(order), bool)
    kept[order] = total > 0.1
    rates = [float(np.average(judged.rejected[use], weights=weight[use])) for use in (slice(None), kept)]
    print(f"each person once: FNMR {rates[0]:.3%}, without the worst tenth by norm {rates[1]:.3%}")
    return {
        "people": int(who.max()) + 1,
        "fnmr": rates[0],
        "without_worst_tenth_by_norm": rates[1],
    }


def show(found: DiscardReport) -> None:
    """A line a measure."""
    for curve in found.curves:
        if not curve.points:
            print(f"  {curve.measure:<10} {curve.reason}")
            continue
        rates = " ".join(f"{curve.at(share).fnmr:8.3%}" for share in SHOWN)
        limit = curve.at(0.1).limit
        mark = "*" if curve.predicts else " "
        shown = "none" if limit is None else f"{limit:.4g}"
        print(
            f"  {curve.measure:<10}{mark} gain {curve.gain:6.3f} ({curve.low:.3f} to {curve.high:.3f})  "
            f"{rates}  limit {shown}"
        )


def cost(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """CPU time of measuring a face, and of embedding photos with and without it."""
    model = open_model(threads=1)
    photos = [str(path) for path in find_images([folder])[:count]]
    faces = [
        (face.crop, face.face)
        for result in embed_photos(photos, model, EmbedOptions(faces="main"), workers=1, keep_crops=True)
        for face in result.faces
        if face.crop is not None
    ]
    times: dict[str, list[float]] = {"with": [], "without": []}
    for at in range(2 * rounds):
        kind = ("with", "without")[(at + at // 2) % 2]
        times[kind].append(_embedding(photos, model, measured=kind == "with"))
    began = time.process_time()
    for crop, face in faces * 10:
        measure(crop, face)
    alone = (time.process_time() - began) / (10 * len(faces))
    medians = {kind: statistics.median(values) / len(photos) for kind, values in times.items()}
    print(
        f"a face {1e3 * alone:.3f} ms of CPU; a photo {1e3 * medians['with']:.2f} ms with, "
        f"{1e3 * medians['without']:.2f} ms without; a face is {alone / medians['without']:.2%} of that"
    )
    return {
        "photos": len(photos),
        "rounds": rounds,
        "face_seconds": alone,
        "photo_seconds": medians,
        "all": times,
    }


def _embedding(photos: Sequence[str], model: Any, *, measured: bool) -> float:
    used = measure if measured else lambda crop, face: NO_QUALITY
    with patch.object(pipeline, "measure", used):
        began = time.process_time()
        for _ in embed_photos(photos, model, EmbedOptions(faces="main"), workers=1):
            pass
        return time.process_time() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("curves", "cost"):
        one = kinds.add_parser(kind)
        one.add_argument("folder", type=Path, help="a folder a person")
        if kind == "curves":
            one.add_argument("embeddings", type=Path)
            one.add_argument("--pairs", type=Path, help="a list of pairs of the same photos")
        else:
            one.add_argument("--count", type=int, default=200)
            one.add_argument("--rounds", type=int, default=5)
        one.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.kind == "curves":
        found = curves(args.folder, args.embeddings, args.pairs)
    else:
        found = cost(args.folder, args.count, args.rounds)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
