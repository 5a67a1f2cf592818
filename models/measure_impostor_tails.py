"""Measure impostor tails and likelihood ratios of the embedded packs on LFW, for their manifests.

    python models/measure_impostor_tails.py ../shared/lfw/images --keep SCRATCH    # writes nothing
    python models/measure_impostor_tails.py ../shared/lfw/images --keep SCRATCH --write

All photos are embedded (``--faces main``), without and with flip; ``--keep`` names a
folder where the embeddings are kept for the next run.

**Who is left out.** A person who is in LFW under two names makes pairs of "two people" of one. These have
the highest scores of all, so they would be the tail. The rule: two names are doubtful if a photo of one and
a photo of the other score above 0.55 with ``sface`` without flip; everybody with a doubtful name is left
out, for all packs. It is a rule about scores, so it cuts the tail of ``sface`` near 0.55 by construction,
and people who look very much alike go with the doubled ones: below a false match rate of one in a million
nothing is said. The names are in docs/search/lfw_doubtful.csv. Of ``sface-degraded`` the people that it was
trained on are left out too (the training photos of docs/study/finetune_split.json).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.read import open_table
from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.impostor_pairs import measure_impostor_tail
from facerec_cli.metrics.people_likelihood import measure_likelihood
from facerec_cli.metrics.thresholds import threshold_of_tail
from facerec_cli.packs.manifest_toml import write_manifest
from facerec_cli.packs.resolve import open_pack
from facerec_cli.threshold import ImpostorTail, Likelihood
from facerec_cli.wording import counted, people

REPOSITORY = Path(__file__).resolve().parents[1]
DOUBTFUL = REPOSITORY / "docs" / "search" / "lfw_doubtful.csv"
SPLIT = REPOSITORY / "docs" / "study" / "finetune_split.json"
PACKS = ("sface", "sface-degraded")
ABOVE = 0.55
FAR = 1e-3  # of the threshold of two photos

Embedded = tuple[NDArray[np.float32], list[str]]


def embed(photos: Path, pack: str, folder: Path, *, flip: bool) -> Embedded:
    """Unit vectors of all photos, and the name of the person on each."""
    path = folder / f"{pack}{'-flip' if flip else ''}.npz"
    if not path.is_file():
        command = [
            sys.executable,
            "-m",
            "facerec_cli",
            "embed",
            str(photos),
            "--faces",
            "main",
            "-o",
            str(path),
        ]
        command += ["--model", f"pack:{pack}", *(["--flip"] if flip else [])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    table = open_table(str(path))
    table.require_model(open_pack(f"pack:{pack}"))
    assert table.paths is not None
    return table.vectors, [Path(photo).parent.name for photo in table.paths]


def doubtful(vectors: NDArray[np.float32], names: list[str]) -> dict[tuple[str, str], float]:
    """Pairs of names with a score above 0.55, and the highest of each pair."""
    found: dict[tuple[str, str], float] = {}
    for tile in tiles(vectors):
        for row, column in np.argwhere(tile.scores > ABOVE).tolist():
            pair = sorted((names[tile.rows.start + row], names[tile.columns.start + column]))
            if pair[0] != pair[1]:
                score = float(tile.scores[row, column])
                found[pair[0], pair[1]] = max(score, found.get((pair[0], pair[1]), -1.0))
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))


def write_doubtful(pairs: dict[tuple[str, str], float], path: Path = DOUBTFUL) -> None:
    """Write the pairs of names, the highest score first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "other_name", "score"])
        writer.writerows([*pair, f"{score:.4f}"] for pair, score in pairs.items())


def trained_on(pack: str) -> set[str]:
    """The people of LFW that a pack has seen, as far as is known."""
    if pack != "sface-degraded":
        return set()
    photos = json.loads(SPLIT.read_text("utf-8"))["photos"]["train"]
    return {photo.partition("/")[0] for photo in photos}


def measure(pack: str, embedded: Embedded, out: set[str], *, flip: bool) -> tuple[ImpostorTail, Likelihood]:
    """The tail of one pack with one setting of flip, and what its scores are worth."""
    vectors, names = embedded
    seen = trained_on(pack)
    kept = np.array([name not in out | seen for name in names])
    identity = np.unique(np.array(names)[kept], return_inverse=True)[1].astype(np.int64)
    left = f"without {people(len(out))} of doubtful names"
    left += f" and the {len(seen):,} that it was trained on" if seen else ""
    data = (
        f"LFW, {counted(int(kept.sum()), 'photo')}, the main face, {'' if flip else 'no '}flip; "
        f"all photos of each two people, who count once; {left}"
    )
    tail = measure_impostor_tail(vectors[kept], identity, data=data, flip=flip)
    return tail, measure_likelihood(vectors[kept], identity, tail)


def main() -> None:
    """Measure, print, and with --write put the tails into the manifests."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path, help="LFW's folder of a folder a person")
    parser.add_argument("--pack", choices=PACKS, action="append", help="which packs (default: all)")
    parser.add_argument("--keep", type=Path, help="where embeddings are kept, and found again")
    parser.add_argument(
        "--write", action="store_true", help="write manifests and docs/search/lfw_doubtful.csv"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        pairs = doubtful(*embed(arguments.photos, "sface", folder, flip=False))
        out = {name for pair in pairs for name in pair}
        print(f"{len(pairs)} pairs of names above {ABOVE}, {people(len(out))}")
        for pack in arguments.pack or PACKS:
            measured = [
                measure(pack, embed(arguments.photos, pack, folder, flip=flip), out, flip=flip)
                for flip in (False, True)
            ]
            tails, likelihoods = (tuple(part) for part in zip(*measured, strict=True))
            for tail, worth in measured:
                points = ", ".join(f"{r:g}: {s:.4f}" for r, s in zip(tail.rates, tail.scores, strict=True))
                print(
                    f"{pack}: {tail.data}\n  {people(tail.people)}, {tail.pairs:,} pairs, mean {tail.mean},"
                )
                print(
                    f"  deviation {tail.deviation}, variation {tail.variation}, genuine {tail.genuine_mean}"
                )
                print(f"  {points}")
                print(
                    f"  likelihood ratios from 1/{math.exp(-worth.low):,.0f} to {math.exp(worth.high):,.0f}, "
                    f"{people(worth.people)} with several photos, Cllr {worth.cllr}, {len(worth.steps)} steps"
                )
            if arguments.write:
                threshold = threshold_of_tail(tails[0], FAR)
                changed = {"threshold": threshold, "impostor_tails": tails, "likelihoods": likelihoods}
                write_manifest(replace(open_pack(f"pack:{pack}"), **changed))
        if arguments.write:
            write_doubtful(pairs)


if __name__ == "__main__":
    main()
