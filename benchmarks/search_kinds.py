"""What the threshold of a search meets on photos of another kind than the tail's.

    facerec embed FGNET -o fgnet.npz --faces main
    python benchmarks/search_kinds.py fgnet.npz umist.npz --json benchmarks/results/search_kinds.json

Each draw cuts the people of a folder-a-person set in two halves: one is enrolled with one photo each, and all
photos of the others are strangers. The threshold comes from the model's tail alone, and then as facerec
chooses it, where the gallery's own searches may contradict the tail.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from facerec_cli.embeddings.read import open_table
from facerec_cli.metrics.search_threshold import choose_search_threshold, from_tail
from facerec_cli.packs.resolve import open_pack

FPIRS = (0.1, 0.01)


def main() -> None:
    """Print a row for each set and wished rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("embeddings", nargs="+", type=Path, help="files of facerec embed --faces main")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--json", type=Path, help="write what was counted to this file")
    wanted = parser.parse_args()
    tail = next(tail for tail in open_pack("sface").impostor_tails if not tail.flip)
    found = []
    for path in wanted.embeddings:
        table = open_table(path)
        assert table.paths is not None
        person = np.unique([Path(photo).parent.name for photo in table.paths], return_inverse=True)[1]
        size = (person.max() + 1) // 2
        met: dict[tuple[float, str], list[float]] = {}
        for seed in range(wanted.draws):
            random = np.random.default_rng(seed)
            order = random.permutation(person.max() + 1)
            first = [random.choice(np.flatnonzero(person == who)) for who in order[:size]]
            gallery, strangers = table.vectors[first], table.vectors[np.isin(person, order[size:])]
            own = gallery @ gallery.T
            np.fill_diagonal(own, -1)
            best = (strangers @ gallery.T).max(axis=1)
            faces = np.ones(size, np.int64)
            for fpir in FPIRS:
                chosen = choose_search_threshold(fpir, size, own=own.max(axis=1), tail=tail, faces=faces)
                for how, one in (("tail alone", from_tail(tail, size, fpir)), ("chosen", chosen)):
                    if one.value is not None:
                        met.setdefault((fpir, how), []).append(float((best >= one.value).mean()))
        for (fpir, how), shares in met.items():
            row = {"set": path.stem, "people": int(size), "wished": fpir, "threshold": how,
                   "draws": len(shares), "met": round(float(np.mean(shares)), 5),
                   "spread": round(float(np.std(shares)), 5)}  # fmt: skip
            print(json.dumps(row), flush=True)
            found.append(row)
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
