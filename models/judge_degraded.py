"""Choose a network for hard photos by validation people, and judge it by others (docs/study.md).

    python models/judge_degraded.py photos ../shared/lfw/images runs/hard
    python models/judge_degraded.py choose runs/hard runs/hard/distill/last.pt
    python models/judge_degraded.py judge runs/hard ../shared/faces sface NEW
    python models/judge_degraded.py real runs/hard ../shared/faces sface ARM ...

``photos`` makes photos hard before a face is found in them: those of training people (``facerec data
degrade``), of validation people, who choose, and of test people, who judge (``study/photo_conditions.py``),
with lists of pairs. ``choose`` measures networks of training runs, and points between them and the first
weights, on crops of the validation people. ``judge`` gives the lists of the test people, and those of two
real sets, to ``facerec compare``; ``real`` gives it those of the real sets alone. The rules are at
:data:`CLEAN_LOSS` and :data:`RULE`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.compare.run import compare
from facerec_cli.compare.settings import CompareSettings
from facerec_cli.data import FaceDataset, open_stored
from facerec_cli.data.formats.folder import write_folder
from facerec_cli.data.tools.align import align
from facerec_cli.data.tools.degrade import HardPhotos
from facerec_cli.faces import open_model
from facerec_cli.images import quiet_decoders
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.study.crops import PhotoSubset, read_crops
from facerec_cli.study.photo_conditions import PHOTO_CONDITIONS, shrunk

SPLIT = Path(__file__).resolve().parents[1] / "docs" / "study" / "finetune_split.json"
CONDITIONS = ("clean", *PHOTO_CONDITIONS)
VERSIONS = 4  # of each training photo
PHOTOS_EACH = 4  # of a person, to choose and judge by
DIFFERENT = 300_000  # pairs of two people in a list of test people, drawn; all same pairs are in it
FAR = 1e-3
ROUNDS = 500  # of the bootstrap over people
SHARES = (0.5, 0.75, 1.0)
CLEAN_LOSS, LEAST_COSINE = 0.001, 0.95
"""The rule of ``choose``, written down before any run: of the networks that lose at most 0.1 points of TAR on
clean pairs of the validation people, and leave their clean photos where they were (mean cosine of the new to
the old embedding 0.95 or more), the one with the highest mean TAR over the six conditions."""
RULE = {"worse_by_at_most": 0.005, "clearly_better": 4}
"""The rule for shipping, written down before any run, TAR at FAR 0.001 of the new network against ``sface``
on the same pairs: on none of the lists (clean, six conditions, the real sets FG-NET, UMIST, and UMIST at two
fifths of the side) half a point or more worse; and of the six conditions at least four better with an
interval above zero."""

Rows = NDArray[np.float32]


def chosen_photos(dataset: FaceDataset, part: str) -> NDArray[np.int64]:
    """Up to four photos each of the people of a part who have two, the first by name."""
    people = set(json.loads(SPLIT.read_text("utf-8"))["people"][part])
    counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
    rows: list[int] = []
    for label in np.flatnonzero(counts >= 2):
        if dataset.class_names[label] in people:
            rows += np.flatnonzero(dataset.labels == label)[:PHOTOS_EACH].tolist()
    return np.array(rows, np.int64)


def write_training(source: Path, out: Path) -> None:
    """Crops to train on: of the training photos as they are, and of ``VERSIONS`` hard versions of them."""
    dataset = open_stored(str(source))
    wanted = set(json.loads(SPLIT.read_text("utf-8"))["photos"]["train"])
    photos = PhotoSubset(dataset, np.flatnonzero([dataset.name(i) in wanted for i in range(len(dataset))]))
    model = open_model("sface")
    with quiet_decoders():
        align(photos, out / "train-clean", model, resume=True)
        for seed in range(VERSIONS):
            align(HardPhotos(photos, seed=seed), out / f"train-{seed}", model, resume=True)


def write_photos(source: Path, out: Path) -> None:
    """The photos of both parts under each condition, a folder each, and the lists of the test people."""
    dataset = open_stored(str(source))
    for part in ("validation", "test"):
        photos = PhotoSubset(dataset, chosen_photos(dataset, part))
        for name in CONDITIONS:
            hard = photos if name == "clean" else HardPhotos(photos, PHOTO_CONDITIONS[name], name)
            if not (out / part / name).exists():
                write_folder(hard, out / part / name)
    names, people = _photos_of(out / "test" / "clean")
    for name in CONDITIONS:
        write_list(out / "test" / f"{name}.txt", names, people, hard=name)


def write_list(path: Path, names: Sequence[str], people: NDArray[np.int64], *, hard: str) -> None:
    """Clean photos beside hard ones of the same people, and of others: ``first second 1|0``."""
    first, second = np.triu_indices(len(names), 1)
    if hard != "clean":  # each photo is the clean one once
        first, second = np.concatenate([first, second]), np.concatenate([second, first])
    same = people[first] == people[second]
    different = np.flatnonzero(~same)
    drawn = np.random.default_rng(0).permutation(different)[:DIFFERENT]
    rows = np.sort(np.concatenate([np.flatnonzero(same), drawn]))
    pairs = zip(first[rows].tolist(), second[rows].tolist(), same[rows].tolist(), strict=True)
    path.write_text(
        "".join(f"clean/{names[a]}\t{hard}/{names[b]}\t{int(is_same)}\n" for a, b, is_same in pairs)
    )


def write_real(faces: Path, out: Path) -> Iterator[tuple[str, Path, Path]]:
    """All pairs of the real sets: title, list, and the folder that it starts from."""
    umist = open_stored(str(faces / "umist"))
    if not (out / "real" / "umist_small").exists():
        tiny = HardPhotos(umist, lambda image, _: (shrunk(image, 0.4), 92))
        write_folder(tiny, out / "real" / "umist_small")
    roots = {
        "FG-NET, ages": faces / "fgnet",
        "UMIST, profile to frontal": faces / "umist",
        "UMIST at 37 x 45 pixels": out / "real" / "umist_small",
    }
    for number, (title, root) in enumerate(roots.items()):
        names, people = _photos_of(root)
        path = out / "real" / f"{number}.txt"
        lines = (
            f"{names[a]}\t{names[b]}\t{int(people[a] == people[b])}\n"
            for a, b in combinations(range(len(names)), 2)
        )
        path.write_text("".join(lines))
        yield title, path, root


def _photos_of(folder: Path) -> tuple[list[str], NDArray[np.int64]]:
    found = open_stored(str(folder))
    return [found.name(i) for i in range(len(found))], found.labels


class ValidationPhotos:
    """Crops of the validation people under each condition, and how a network does on them."""

    def __init__(self, out: Path) -> None:
        model = open_model("sface")
        self.names, self.people = _photos_of(out / "validation" / "clean")
        self.crops: dict[str, NDArray[np.uint8]] = {}
        self.there: dict[str, NDArray[np.bool_]] = {}
        for name in CONDITIONS:
            folder = out / "validation_crops" / name
            with quiet_decoders():  # crops of an earlier call are kept
                align(open_stored(str(out / "validation" / name)), folder, model, resume=True)
            there = np.array([(folder / photo).is_file() for photo in self.names])
            self.there[name] = there
            self.crops[name] = read_crops(
                folder, [n for n, is_there in zip(self.names, there, strict=True) if is_there]
            )

    def embed(self, network: Any) -> dict[str, Rows]:
        """Condition -> unit rows of the photos that gave a crop."""
        import torch

        from facerec_cli.study.embeddings import embed_crops

        return {name: embed_crops(network, torch.device("cpu"), crops) for name, crops in self.crops.items()}

    def judge(self, rows: dict[str, Rows], first: dict[str, Rows]) -> dict[str, float]:
        """TAR at FAR 0.001 of clean photos beside each condition's, and the mean cosine to ``first``."""
        found = {name: self._tar(rows, name) for name in CONDITIONS}
        found["mean of the hard ones"] = float(np.mean([found[name] for name in PHOTO_CONDITIONS]))
        found["cosine"] = float((rows["clean"] * first["clean"]).sum(1).mean())
        return found

    def _tar(self, rows: dict[str, Rows], name: str) -> float:
        clean, hard = np.flatnonzero(self.there["clean"]), np.flatnonzero(self.there[name])
        scores = rows["clean"] @ rows[name].T
        kept = clean[:, None] < hard if name == "clean" else clean[:, None] != hard
        same = self.people[clean][:, None] == self.people[hard]
        point = evaluate(scores[kept], same[kept], fars=(FAR,)).point(FAR)
        assert point is not None and point.tar is not None
        return point.tar


def choose(out: Path, runs: Sequence[Path], shares: Sequence[float] = SHARES) -> dict[str, Any]:
    """What the validation people say of each run at each share of the way, and which is taken."""
    from facerec_cli.training.checkpoint import load_backbone
    from facerec_cli.training.start import _from_pack, interpolated, make_backbone

    photos = ValidationPhotos(out)
    start = _from_pack("sface")
    before = make_backbone(start, start.embedding_size).eval()
    first = photos.embed(before)
    weights = {name: value.clone() for name, value in before.state_dict().items()}
    tried: dict[str, dict[str, float]] = {"sface": photos.judge(first, first)}
    for run in runs:
        network = load_backbone(run)[0] if run.is_file() else make_backbone(_from_pack(str(run)), 128)
        last = {name: value.clone() for name, value in network.state_dict().items()}
        for share in shares if run.is_file() else (1.0,):
            name = f"{run.parent.name}, {share:g} of the way" if run.is_file() else run.name
            network.load_state_dict(interpolated(weights, last, share))
            tried[name] = photos.judge(photos.embed(network.eval()), first)
            print(f"{name}: {_told(tried[name])}", flush=True)
    clean = tried["sface"]["clean"]
    harmless = {
        name: found["mean of the hard ones"]
        for name, found in tried.items()
        if found["clean"] >= clean - CLEAN_LOSS - 1e-9 and found["cosine"] >= LEAST_COSINE
    }
    counts = {name: int(there.sum()) for name, there in photos.there.items()}
    print(f"sface: {_told(tried['sface'])}")
    return {"far": FAR, "photos": counts, "tried": tried, "chosen": max(harmless, key=lambda n: harmless[n])}


def _told(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in found.items())


def judge(out: Path, faces: Path | None, models: Sequence[str]) -> dict[str, Any]:
    """What ``facerec compare`` says of each list, and :data:`RULE` of each model after the first."""
    lists = [(name, out / "test" / f"{name}.txt", out / "test") for name in CONDITIONS]
    lists += [] if faces is None else list(write_real(faces, out))
    found = compared(lists, models)
    return {**_asked(models), "lists": found, "ships": _verdicts(found, models)}


def _asked(models: Sequence[str]) -> dict[str, Any]:
    return {"far": FAR, "rounds": ROUNDS, "models": list(models)}


def compared(lists: Sequence[tuple[str, Path, Path]], models: Sequence[str]) -> dict[str, Any]:
    """TAR of each model on each list (title, list, its folder), and the differences to the first."""
    found: dict[str, Any] = {}
    for title, path, root in lists:
        result = compare([*models, str(path)], CompareSettings(far=FAR, bootstrap=ROUNDS), root=root)
        found[title] = {
            "pairs": len(result.used),
            "compared": int(result.used.sum()),
            "same": int(result.models[0].same[result.used].sum()),
            "tar": [e.point(FAR).tar for e in result.paired.evaluations],  # type: ignore[union-attr]
            "confidence": result.paired.confidence,
            "against_first": [
                {
                    "model": models[p.second],
                    "difference": p.primary.difference,
                    "low": p.primary.low,
                    "high": p.primary.high,
                }
                for p in result.paired.pairs
                if p.first == 0 and p.primary
            ],
        }
        print(title, json.dumps(found[title]), flush=True)
    return found


def _verdicts(found: dict[str, Any], models: Sequence[str]) -> dict[str, bool]:
    ships = {}
    for number, model in enumerate(models[1:]):
        differences = {title: one["against_first"][number] for title, one in found.items()}
        harmless = all(one["difference"] > -RULE["worse_by_at_most"] for one in differences.values())
        better = sum((differences[name]["low"] or 0) > 0 for name in PHOTO_CONDITIONS)
        ships[model] = harmless and better >= RULE["clearly_better"]
    return ships


def main() -> None:
    """Make the photos, choose, judge, or look at the real sets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("photos", "choose", "judge", "real"))
    parser.add_argument("arguments", nargs="+", help="as at the top of this file")
    parser.add_argument("--json", type=Path, help="where the result is written")
    given = parser.parse_args()
    if given.what == "photos":
        source, out = map(Path, given.arguments)
        write_training(source, out)
        write_photos(source, out)
        return
    out, *others = given.arguments
    if given.what == "choose":
        result = choose(Path(out), [Path(run) for run in others])
        print(f"chosen: {result['chosen']}")
    elif given.what == "real":
        faces, *models = others
        lists = list(write_real(Path(faces), Path(out)))
        result = {**_asked(models), "lists": compared(lists, models)}
    else:
        faces, *models = others
        result = judge(Path(out), Path(faces), models)
        print(f"ships: {result['ships']}")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
