"""How many wrong labels ``facerec data mine`` finds, and whether training without them is as good.

    facerec embed LFW --faces main -o lfw.npz
    python benchmarks/mine_loop.py noise lfw.npz fgnet.npz umist.npz --json benchmarks/results/mine_noise.json
    facerec data align LFW -o crops/
    python benchmarks/mine_loop.py train crops/ --seeds 1 --out SCRATCH --json mine_train.json

(``crops/`` had four photos each of LFW's first 300 people, by name, who have four or more.)

``noise`` gives 5 % of the faces the name of another person, drawn by a seed, and counts how many are then
suspected with a path in ``--noise`` (``other_person``, ``not_alike``). Data sets have doubtful labels of
their own, which are suspected, too: precision is given with these as mistakes (``precision``), and without
those that are suspected before anything is planted (``precision_but_natural``). ``--least`` keeps people with
as many photos.

``train`` plants 5 % in the training people's labels of a folder of aligned crops, and has ``facerec study``
train the default network on them with and without what is suspected; the judge is people who are in neither.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data import open_stored
from facerec_cli.data.mining.run import mine
from facerec_cli.data.mining.settings import MineOutputs, MineSettings
from facerec_cli.data.mining.suspects import NOT_ALIKE, OTHER_PERSON, SAME_PEOPLE, find_suspects
from facerec_cli.data.mining.write import write_mined
from facerec_cli.embeddings.read import open_table
from facerec_cli.gallery.calibrate import model_tail
from facerec_cli.gallery.labeled import people_of_table
from facerec_cli.study.protocol import parse_protocol
from facerec_cli.study.split import split_people
from facerec_cli.study.study import run_study

SHARE = 0.05
SEEDS = range(5)
STUDY: dict[str, Any] = {
    "study": {"name": "5 % of wrong labels, with and without", "aligned": True, "baseline": "noisy"},
    "split": {"train": 0.3, "validation": 0.05},
    "test": {
        "photos": 640,
        "photos_each": 4,
        "subsets": ["clean clean", "natural"],
        "fars": [1e-3, 1e-2],
        "far": 1e-3,
    },
    "recipe": {
        "backbone": {"init": "sface"},
        "loss": {"name": "arcface", "scale": 16.0, "margin": 0.2, "class_weights": "means"},
        "optimizer": {"lr": 0.01},
        "schedule": {"steps": 16},
        "run": {"batch_size": 16, "device": "cpu"},
        "data": {"workers": 0},
    },
}


def plant(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Labels of which 5 % are another person's, and which these are."""
    random = np.random.default_rng(seed)
    wrong = np.zeros(len(labels), bool)
    wrong[random.choice(len(labels), round(SHARE * len(labels)), replace=False)] = True
    people = int(labels.max()) + 1
    moved = (labels + random.integers(1, people, len(labels))) % people
    return np.where(wrong, moved, labels), wrong


def count(
    reasons: NDArray[np.object_], wrong: NDArray[np.bool_], natural: NDArray[np.bool_]
) -> dict[str, Any]:
    """Recall and precision of what has a path in the table of suspected labels."""
    told = (reasons == OTHER_PERSON) | (reasons == NOT_ALIKE)
    hits = int((told & wrong).sum())
    new = told & ~(natural & ~wrong)
    return {
        "planted": int(wrong.sum()),
        "suspected": int(told.sum()),
        "found": hits,
        "recall": hits / int(wrong.sum()),
        "precision": hits / max(1, int(told.sum())),
        "precision_but_natural": hits / max(1, int(new.sum())),
        "by_reason": {
            reason: [int(((reasons == reason) & wrong).sum()), int((reasons == reason).sum())]
            for reason in (OTHER_PERSON, NOT_ALIKE, SAME_PEOPLE)
        },
    }


def noise(paths: list[Path], leasts: list[int]) -> list[dict[str, Any]]:
    """A row for each file of embeddings and least number of photos of a person."""
    rows = []
    for path in paths:
        table = open_table(path).one_per_photo("main")
        tail = model_tail(table.model, flip=bool(table.settings.get("flip", False)))
        assert tail is not None, f"the model of {path} has no impostor tail"
        every = np.unique(np.array(people_of_table(table)), return_inverse=True)[1].astype(np.int64)
        for least in leasts:
            kept = np.flatnonzero(np.bincount(every)[every] >= least)
            labels = np.unique(every[kept], return_inverse=True)[1].astype(np.int64)
            vectors = np.ascontiguousarray(table.vectors[kept])
            before = find_suspects(vectors, labels, tail)
            natural = (before.reasons == OTHER_PERSON) | (before.reasons == NOT_ALIKE)
            draws = []
            for seed in SEEDS:
                planted, wrong = plant(labels, seed)
                draws.append(count(find_suspects(vectors, planted, tail).reasons, wrong, natural))
            row = {
                "data": path.stem,
                "least_photos": least,
                "faces": len(labels),
                "people": int(labels.max()) + 1,
                "bounds": {"named": before.named, "same": before.same, "alone": before.alone},
                "natural": {
                    reason: int((before.reasons == reason).sum())
                    for reason in (OTHER_PERSON, NOT_ALIKE, SAME_PEOPLE)
                },
                "draws": draws,
            }
            rows.append(row)
            means = {key: float(np.mean([one[key] for one in draws])) for key in _FIGURES}
            shown = ", ".join(f"{key} {100 * value:.1f}" for key, value in means.items())
            print(f"{row['data']} of {least}+: {row['faces']} faces, {row['people']} people: {shown} %")
    return rows


_FIGURES = ("recall", "precision", "precision_but_natural")


def train(crops: Path, out: Path, seeds: int) -> dict[str, Any]:
    """Plant, mine, and let a study compare the list with its wrong labels and without."""
    out.mkdir(parents=True, exist_ok=True)
    lists = {name: out / f"{name}.txt" for name in ("noisy", "mined")}
    arms = {name: {"data": {"path": str(path)}, "loss": {"name": "arcface"}} for name, path in lists.items()}
    document = {**STUDY, "arms": arms}
    document["study"] = {**STUDY["study"], "data": str(crops), "seeds": list(range(seeds))}
    protocol = parse_protocol(document, "mine_loop")
    dataset = open_stored(crops)
    split = split_people(dataset, protocol.split, dict.fromkeys(("train", "validation", "test"), (0, 20)))
    rows = split.photos["train"]
    labels = np.unique(dataset.labels[rows], return_inverse=True)[1].astype(np.int64)
    names = [dataset.class_names[label] for label in np.unique(dataset.labels[rows]).tolist()]
    planted, wrong = plant(labels, 0)
    lines = [
        f"{(crops / dataset.name(row)).resolve()}\t{names[label]}\n"
        for row, label in zip(rows.tolist(), planted.tolist(), strict=True)
    ]
    lists["noisy"].write_text("".join(lines), "utf-8")
    settings = MineSettings(aligned=True, hard_weight=1.0, cache=False)
    found = mine(lists["noisy"], settings)
    place = {path: row for row, path in enumerate(found.faces.photos)}
    at = [place[str((crops / dataset.name(row)).resolve())] for row in rows.tolist()]
    lists["mined"].unlink(missing_ok=True)
    write_mined(found, MineOutputs(output=lists["mined"]), settings)
    done = run_study(protocol, out / "study", resume=(out / "study").exists(), tell=print)
    results = done.results.document()
    keep = ("parts", "arms", "differences", "tpir_differences", "no_searches")
    return {
        "noise": count(found.suspects.reasons[at], wrong, np.zeros(len(wrong), bool)),
        "photos": {name: len(open_stored(path)) for name, path in lists.items()},
        "study": {key: results[key] for key in keep if key in results},
        "recipe": STUDY["recipe"],
    }


def main() -> None:
    """Measure, and write raw numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("noise", "train"))
    parser.add_argument("inputs", type=Path, nargs="+")
    parser.add_argument("--least", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seeds", type=int, default=3, help="runs of each arm; more may be added later")
    parser.add_argument("--out", type=Path, default=Path("mine-loop"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: Any = (
        noise(given.inputs, given.least)
        if given.what == "noise"
        else train(given.inputs[0], given.out, given.seeds)
    )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
