r"""What a pack's default threshold does on photos of other kinds than those it was chosen on.

    python benchmarks/kinds.py embed sface SCRATCH --lfw ../shared/lfw/images --faces ../shared/faces
    python benchmarks/kinds.py measure sface SCRATCH --tails TAILS \
        --json benchmarks/results/kinds-sface.json --write

``embed`` makes photos of LFW into those of other kinds before a face is looked for (``hard_photos.py``), and
embeds them, FG-NET (family photos, ages 0 to 69) and UMIST (grey, up to profile). ``measure`` compares all
photos of a kind with each other at the pack's own threshold, without flip; ``--write`` puts what was found
into the pack's manifest, for ``facerec models card``. Nothing is chosen here: the threshold is the pack's.

Of LFW 850 photos of 500 people are made into other kinds, without those of doubtful names
(docs/search/lfw_doubtful.csv) and without whom ``--split`` (docs/study/finetune_split.json) says that a
fine-tuned pack has seen: the first 100 people with three photos or more, 150 with two or more, and 250 with
one, in the order of sha256 of their names.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import hard_photos
import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.metrics.all_pairs import tiles
from facerec_cli.metrics.people_interval import SharedPairs, of_one_person, of_two_people
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import write_manifest
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.threshold import MeasuredKind

REPOSITORY = Path(__file__).resolve().parents[1]
DOUBTFUL = REPOSITORY / "docs" / "search" / "lfw_doubtful.csv"
SPLIT = REPOSITORY / "docs" / "study" / "finetune_split.json"
MADE = (*hard_photos.KINDS, "mask")
LFW = "LFW"
#: What each kind is called on the card.
WORDS = {
    "clean": ("press photos of adults, a part of those that the threshold was chosen on", LFW),
    "small": ("small faces, about 30 x 40 pixels", f"{LFW}, made smaller"),
    "small_grey": ("small grey photos, faces of about 44 x 58 pixels", f"{LFW}, made smaller and grey"),
    "grey": ("grey photos", f"{LFW}, made grey"),
    "dark": ("dark photos with noise", f"{LFW}, 6 % of the light and a sensor's noise"),
    "side_light": ("hard light from one side", f"{LFW}, darkened from one side"),
    "motion": ("blurred photos", f"{LFW}, moved by 17 pixels"),
    "jpeg": ("strongly compressed photos", f"{LFW}, JPEG of quality 8"),
    "frame": (
        "frames as of a video: small, dark, moved, compressed",
        f"{LFW}, faces of about 47 x 61 pixels, moved, noise, JPEG of quality 25",
    ),
    "mask": ("drawn masks over mouth and nose", f"{LFW}, a cloth mask drawn"),
    "umist": ("controlled grey portraits, turned up to profile", "UMIST"),
}
AGES = {
    "children under 6": (0, 5),
    "children from 6 to 12": (6, 12),
    "teenagers": (13, 17),
    "adults": (18, 99),
}
UNMEASURED = (
    "portraits of a studio with one background, camera and light, passport and identity photos, small or "
    "grey ones too",
    "small faces of real cameras, frames of real videos, cameras on a wall",
    "extreme light: one lamp from the side, from above or from behind, in a dark room",
    "faces turned far to the side on ordinary photos, in color",
    "real masks, scarves, dark glasses, hats",
    "photos many years apart, and people over 60",
    "other populations than LFW's, most of whom are well-known adults in Western news around 2005: people of "
    "one origin, sex or age look more alike to a model",
    "relatives and twins",
    "infrared, thermal and depth pictures",
    "photos of photos, screens and printed pages, drawings, make-up and filters",
)
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


def left_out(split: Path | None) -> set[str]:
    """People of doubtful names, and those that a pack was fine-tuned on."""
    with DOUBTFUL.open(encoding="utf-8", newline="") as file:
        out = {row[key] for row in csv.DictReader(file) for key in ("name", "other_name")}
    seen = [] if split is None else json.loads(split.read_text("utf-8"))["photos"]["train"]
    return out | {name.partition("/")[0] for name in seen}


def chosen(photos: Path, split: Path) -> list[str]:
    """The photos of LFW that are measured, as ``PERSON/FILE.jpg``."""
    out = left_out(split)
    people = [folder for folder in photos.iterdir() if folder.is_dir() and folder.name not in out]
    people.sort(key=lambda folder: hashlib.sha256(folder.name.encode()).digest())
    found: list[str] = []
    wanted = {3: 100, 2: 150, 1: 250}  # photos of a person, people
    for folder in people:
        files = sorted(file.name for file in folder.glob("*.jpg"))
        several = next((many for many in wanted if len(files) >= many and wanted[many]), 0)
        if several:
            wanted[several] -= 1
            found += [f"{folder.name}/{name}" for name in files[:several]]
    return found


def embed(arguments: argparse.Namespace) -> None:
    """Make the photos and embed them, where that is not done yet."""
    names = chosen(arguments.lfw, arguments.split)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    (arguments.scratch / "photos.txt").write_text("\n".join(names), encoding="utf-8")
    folder, vectors = arguments.scratch / "photos", arguments.scratch / arguments.pack
    vectors.mkdir(parents=True, exist_ok=True)
    landmarks: dict[str, NDArray[np.float64]] = {}
    for kind in MADE:
        if kind == "mask":
            landmarks = read_landmarks(vectors / "clean.csv")
        hard_photos.make(kind, names, arguments.lfw, folder / kind, landmarks)
        run_embed(folder / kind, vectors / f"{kind}.npz", arguments.pack)
    for name in ("fgnet", "umist"):
        run_embed(arguments.faces / name, vectors / f"{name}.npz", arguments.pack)


def run_embed(photos: Path, target: Path, pack: str) -> None:
    """``facerec embed``, the main face of each photo."""
    if not target.is_file():
        command = [sys.executable, "-m", "facerec_cli", "embed", str(photos), "--faces", "main"]
        command += ["--model", f"pack:{pack}", "-o", str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def name_of(path: str) -> str:
    """``PERSON/FILE.jpg``."""
    return "/".join(Path(path).parts[-2:])


def read_landmarks(table: Path) -> dict[str, NDArray[np.float64]]:
    """The five points of each photo of a table of ``facerec embed``."""
    found = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["nose_x"]:
                points = [[float(row[f"{point}_{axis}"]) for axis in "xy"] for point in POINTS]
                found[name_of(row["path"])] = np.array(points)
    return found


def rows(arguments: argparse.Namespace) -> Iterator[MeasuredKind]:
    """What the pack's threshold does on each kind."""
    pack = open_pack(f"pack:{arguments.pack}")
    assert pack.threshold is not None
    value, vectors = pack.threshold.value, arguments.scratch / arguments.pack
    if arguments.tails:
        yield people_once(opened(arguments.tails / f"{arguments.pack}.npz", pack), arguments, value)
    names = set((arguments.scratch / "photos.txt").read_text("utf-8").split("\n"))
    for kind, (words, data) in WORDS.items():
        table = opened(vectors / f"{kind}.npz", pack)
        use = np.array([kind == "umist" or name_of(path) in names for path in table.paths or ()])
        failed = sum(kind == "umist" or name_of(path) in names for path in table.failed)
        widest = None
        if kind == "small":
            widest = round(float(np.nanquantile(table.boxes[:, 2] - table.boxes[:, 0], 0.95)))
        yield measured(words, data, table, value, use, failed=failed, faces_to=widest)
    table = opened(vectors / "fgnet.npz", pack)
    assert table.paths is not None
    ages = np.array([int(Path(path).stem.partition("A")[2][:2]) for path in table.paths])
    for group, (low, high) in AGES.items():
        use = (ages >= low) & (ages <= high)
        yield measured(
            f"family photos, old scans: {group}", f"FG-NET, ages {low} to {high}", table, value, use
        )
    yield measured(
        "family photos, old scans: a child under 13 with an adult",
        "FG-NET, ages 0 to 12 with 18 to 99",
        table,
        value,
        ages <= 12,
        ages >= 18,
    )


def opened(path: Path, pack: ModelPack) -> EmbeddingTable:
    """The embeddings, if they are of the pack."""
    table = open_table(str(path))
    table.require_model(pack)
    return table


def measured(
    kind: str,
    data: str,
    table: EmbeddingTable,
    threshold: float,
    use: NDArray[np.bool_],
    others: NDArray[np.bool_] | None = None,
    *,
    failed: int = 0,  # photos of FG-NET without a face have no age here
    faces_to: int | None = None,
) -> MeasuredKind:
    """Each two photos that are used, or each of them with each of others, at a threshold."""
    assert table.paths is not None
    person = np.unique([Path(path).parent.name for path in table.paths], return_inverse=True)[1]
    first, second = (side.astype(np.int64) for side in np.triu_indices(len(person), 1))
    one, two = use, use if others is None else others
    kept = (one[first] & two[second]) | (two[first] & one[second])
    first, second = first[kept], second[kept]
    accepted = np.einsum("pd,pd->p", table.vectors[first], table.vectors[second]) >= np.float32(threshold)
    same = person[first] == person[second]
    a, b = person[first].astype(np.int64), person[second].astype(np.int64)
    impostor = of_two_people(accepted[~same], a[~same], b[~same])
    tar: dict[str, float] = {}
    if same.any():
        genuine = of_one_person(accepted[same], a[same])
        low, high = genuine.interval()
        tar = {"tar": figures(genuine.rate), "tar_low": figures(low), "tar_high": figures(high)}
    low, high = impostor.interval()
    photos = use if others is None else use | others
    return MeasuredKind(
        kind=kind,
        data=data,
        people=len(np.unique(person[photos])),
        photos=int(photos.sum()),
        failed=failed,
        pairs=int((~same).sum()),
        far=figures(impostor.rate),
        far_low=figures(low),
        far_high=figures(high),
        **tar,
        faces_to=faces_to,
    )


def people_once(table: EmbeddingTable, arguments: argparse.Namespace, threshold: float) -> MeasuredKind:
    """All photos that the threshold was chosen on; each two people, and each person, have a weight of 1."""
    assert table.paths is not None
    out = left_out(arguments.split if arguments.pack != "sface" else None)
    names = np.array([Path(path).parent.name for path in table.paths])
    kept = ~np.isin(names, sorted(out))
    vectors, person = table.vectors[kept], np.unique(names[kept], return_inverse=True)[1].astype(np.int64)
    photos = np.bincount(person)
    count, accepted, genuine = photos.size, [np.zeros(0, np.int64)], np.zeros(photos.size)
    for tile in tiles(vectors):
        i, j = np.nonzero(tile.scores >= np.float32(threshold))
        i, j = i + tile.rows.start, j + tile.columns.start
        a, b = person[i[i < j]], person[j[i < j]]
        genuine += np.bincount(a[a == b], minlength=count)
        a, b = a[a != b], b[a != b]
        accepted.append(np.minimum(a, b) * count + np.maximum(a, b))
    cells, times = np.unique(np.concatenate(accepted), return_counts=True)
    a, b = cells // count, cells % count
    share = times / (photos[a] * photos[b])
    found = np.bincount(a, share, count) + np.bincount(b, share, count)
    pairs = count * (count - 1) // 2
    together = (float((share**2).sum()), -2 * float(share.sum()), float(pairs))
    impostor = SharedPairs(found, np.full(count, count - 1.0), 2, together, float(pairs))
    several = photos > 1
    right = genuine[several] / (photos[several] * (photos[several] - 1) / 2)
    one = SharedPairs(right, np.ones(right.size), 1, (0.0, 0.0, 0.0), float(right.size))
    (low, high), (least, most) = impostor.interval(), one.interval()
    return MeasuredKind(
        kind="press photos of adults that the threshold was chosen on, each two people once",
        data="LFW, without people of doubtful names",
        people=count,
        photos=len(person),
        pairs=pairs,
        far=figures(impostor.rate),
        far_low=figures(low),
        far_high=figures(high),
        tar=figures(one.rate),
        tar_low=figures(least),
        tar_high=figures(most),
    )


def figures(rate: float | None) -> float:
    """A rate by three figures."""
    return float(f"{rate or 0:.3g}")


def measure(arguments: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    pack = open_pack(f"pack:{arguments.pack}")
    assert pack.threshold is not None and pack.threshold.far is not None
    found = tuple(rows(arguments))
    for row in found:
        tar = "" if row.tar is None else f", TAR {row.tar:.3f} ({row.tar_low:.3f} to {row.tar_high:.3f})"
        print(
            f"{row.kind}: FAR {row.far:.5f} ({row.far_low:.5f} to {row.far_high:.5f}){tar}; "
            f"{row.pairs:,} pairs of {row.people} people, {row.failed} photos without a face; "
            f"{'holds' if row.holds(pack.threshold.far) else 'DOES NOT HOLD'}"
        )
    if arguments.json:
        document = {
            "model": {"name": pack.name, "sha256": pack_hash(pack)},
            "threshold": pack.threshold.value,
            "far": pack.threshold.far,
            "flip": False,
            "measured": [asdict(row) for row in found],
            "unmeasured": UNMEASURED,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if arguments.write:
        write_manifest(replace(pack, measured=found, unmeasured=UNMEASURED))


def main() -> None:
    """Embed, or measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step", choices=("embed", "measure"))
    parser.add_argument("pack")
    parser.add_argument("scratch", type=Path, help="where photos and embeddings are kept, and found again")
    parser.add_argument("--lfw", type=Path, help="LFW's folder of a folder a person")
    parser.add_argument("--faces", type=Path, help="the folder of fgnet/ and umist/")
    parser.add_argument("--split", type=Path, default=SPLIT)
    parser.add_argument("--tails", type=Path, help="what models/measure_impostor_tails.py --keep has kept")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="write the pack's manifest")
    arguments = parser.parse_args()
    if arguments.step == "embed":
        embed(arguments)
    else:
        measure(arguments)


if __name__ == "__main__":
    main()
