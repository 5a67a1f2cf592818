r"""Children and adults: what a threshold for everybody costs them, and whether children can have their own.

    facerec embed FGNET --faces main -o SCRATCH/fgnet.npz
    python benchmarks/groups.py FGNET SCRATCH/fgnet.npz --groups groups.csv \
        --json benchmarks/results/groups.json

``docs/groups.md`` has the program that makes groups.csv. First what ``facerec verify FGNET --all-pairs --by
groups.csv --far 0.001`` measures. Then the people are cut in two halves, again and again: on the pairs of
children of one half a threshold is chosen for a false match rate, and on those of the other half it is
counted what it gives. The raw results are figures alone, without a photo or its name.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.groups import read_groups
from facerec_cli.metrics.thresholds import choose
from facerec_cli.threshold import Threshold
from facerec_cli.verify.json_document import to_document
from facerec_cli.verify.result import Verification
from facerec_cli.verify.run import verify_folder
from facerec_cli.verify.settings import VerifySettings

FARS = (0.01, 0.001)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder a person")
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--groups", type=Path, required=True, help="path,group")
    parser.add_argument("--group", default="child", help="who gets a threshold of their own")
    parser.add_argument("--splits", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = VerifySettings(embeddings=args.embeddings, groups=args.groups, far=0.001)
    result = verify_folder(args.folder, settings)
    document = to_document(result)
    groups, names = read_groups(args.groups, result.names)
    own = [halves(result, groups == names.index(args.group), far, args.splits, args.seed) for far in FARS]
    kept = ("model", "settings", "photos", "pairs", "same_pairs", "different_pairs", "failures", "tar_at_far")
    found = {key: document[key] for key in (*kept, "groups")}
    found["photos_of_groups"] = {name: int((groups == i).sum()) for i, name in enumerate(names)}
    found["own_threshold"] = {"group": args.group, "splits": args.splits, "seed": args.seed, "halves": own}
    for row in own:
        print(json.dumps(row))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def halves(
    result: Verification, chosen: NDArray[np.bool_], far: float, splits: int, seed: int
) -> dict[str, Any]:
    """How a threshold that half of the people give does on the other half, over many cuts."""
    pairs, scores, failed = result.pairs, result.scores, result.failed
    assert pairs.identity is not None and scores is not None and failed is not None
    use = chosen[pairs.first] & chosen[pairs.second] & ~failed
    first, second = pairs.identity[pairs.first[use]], pairs.identity[pairs.second[use]]
    same, score = pairs.same[use], scores[use]
    random = np.random.default_rng(seed)
    rows = []
    people = np.unique(np.concatenate((first, second)))
    for _ in range(splits):
        half = np.isin(np.arange(people.max() + 1), random.permutation(people)[: len(people) // 2])
        here, there = half[first] & half[second], ~half[first] & ~half[second]
        threshold = choose(evaluate(score[here], same[here], fars=(far,)), far)
        if isinstance(threshold, Threshold):
            accepted = score[there] >= threshold.value
            fmr, fnmr = accepted[~same[there]].mean(), 1 - accepted[same[there]].mean()
            rows.append((threshold.value, fmr, fnmr, (~same[there]).sum(), same[there].sum()))
    table = np.array(rows)
    points = dict(zip(("low", "median", "high"), np.percentile(table, (5, 50, 95), axis=0), strict=True))
    columns = ("threshold", "fmr", "fnmr", "different_pairs", "same_pairs")
    return {
        "far": far,
        "people": len(people),
        "photos": int(chosen.sum()),
        "measurable_splits": len(rows),
        **{
            column: {name: round(float(values[i]), 6) for name, values in points.items()}
            for i, column in enumerate(columns)
        },
        "fmr_above_far": round(float((table[:, 1] > far).mean()), 4),
        "fmr_above_twice_far": round(float((table[:, 1] > 2 * far).mean()), 4),
    }


if __name__ == "__main__":
    main()
