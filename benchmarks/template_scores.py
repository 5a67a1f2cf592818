"""How much higher a template of several photos scores with strangers than one photo does.

    facerec embed LFW/images -o lfw.npz --faces main
    python benchmarks/template_scores.py lfw.npz --json benchmarks/results/template_scores.json

People with ten photos or more: the mean of k of their unit vectors, at unit length again, against one photo
of everybody else. People of doubtful names (docs/search/lfw_doubtful.csv) are left out.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from search_thresholds import DOUBTFUL

from facerec_cli.embeddings.read import open_table
from facerec_cli.packs.resolve import open_pack

PHOTOS = (1, 2, 3, 5, 10)


def main() -> None:
    """Print a row for each number of photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("embeddings", help="file of facerec embed --faces main, of a folder a person")
    parser.add_argument("--json", type=Path, help="write what was counted to this file")
    wanted = parser.parse_args()
    table, pack = open_table(wanted.embeddings), open_pack("sface")
    assert table.paths is not None and pack.threshold is not None
    with DOUBTFUL.open(encoding="utf-8") as file:
        out = {name for row in csv.DictReader(file) for name in (row["name"], row["other_name"])}
    folders = np.array([Path(path).parent.name for path in table.paths])
    keep = ~np.isin(folders, sorted(out))
    vectors, person = table.vectors[keep], np.unique(folders[keep], return_inverse=True)[1]
    random = np.random.default_rng(0)
    rows_of = [random.permutation(np.flatnonzero(person == who)) for who in range(person.max() + 1)]
    others = vectors[[rows[0] for rows in rows_of]]
    many = [who for who, rows in enumerate(rows_of) if len(rows) >= max(PHOTOS)]
    same = [vectors[rows_of[who][:10]] @ vectors[rows_of[who][:10]].T for who in many]
    found = []
    for count in PHOTOS:
        means = np.array([vectors[rows_of[who][:count]].mean(axis=0) for who in many])
        scores = means / np.linalg.norm(means, axis=1, keepdims=True) @ others.T
        scores = scores[np.arange(len(others)) != np.array(many)[:, None]]
        found.append(
            {
                "photos": count,
                "people": len(many),
                "mean": round(float(scores.mean()), 5),
                "deviation": round(float(scores.std()), 5),
                "reached": round(float((scores >= pack.threshold.value).mean()), 7),
                "threshold": pack.threshold.value,
                "mean score of one person": round(
                    float(np.mean([s[~np.eye(10, dtype=bool)] for s in same])), 4
                ),
            }
        )
        print(json.dumps(found[-1]), flush=True)
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
