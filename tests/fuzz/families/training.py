"""Checkpoints, recipes and study files."""

from __future__ import annotations

import io
import zipfile
from random import Random

from tests.fuzz import mutators, seeds
from tests.fuzz.sandbox import Case, Sandbox

_FLAGS = (
    "--data",
    "synthetic:4:2",
    "--steps",
    "1",
    "--batch-size",
    "4",
    "--device",
    "cpu",
    "--workers",
    "0",
    "--out",
    "run",
)


def checkpoints(random: Random, sandbox: Sandbox) -> Case:
    """``export FILE``, ``train --init FILE``, ``train --resume``."""
    data, told = seeds.checkpoint(), "whole"
    kind = random.random()
    if kind < 0.4:
        data, told = mutators.damage(random, data)
    elif kind < 0.7:
        data, told = _rezipped(random, data)
    elif kind < 0.9:
        data, told = _other_content(random)
    name = random.choice(("best.pt", "best.pt", "run/best.pt", "x.pth", "backbone.bin"))
    sandbox.write(name, data)
    use = random.random()
    suspects = [] if told == "whole" else [name, "best", "run"]
    if use < 0.5:
        argv = [
            "export",
            random.choice((name, name.rpartition("/")[0] or name)),
            "-o",
            "m.onnx",
            *mutators.pick(random, ("--json",), 0.4),
        ]
        if random.random() < 0.3:
            argv += ["--from", random.choice(("arcface_torch", "tface", "adaface", "cvlface", "x"))]
        return Case(argv, told, ["m.onnx"], suspects=suspects, registered=[])
    if use < 0.8:
        argv = [
            "train",
            *_FLAGS,
            "--init",
            random.choice((name, f"arcface_torch:{name}", f"adaface:{name}")),
            "--dry-run",
        ]
        return Case(argv, told, ["run", "run/*"], suspects=suspects)
    sandbox.write("run/last.pt", data)
    sandbox.write("run/recipe.toml", seeds.RECIPE)
    argv = [
        "train",
        *_FLAGS,
        "--backbone",
        "mobilefacenet",
        "--embedding-size",
        "16",
        "--set",
        "backbone.width=0.125",
        "--resume",
    ]
    return Case(argv, told, ["run", "run/*"], suspects=[])


def _rezipped(random: Random, data: bytes) -> tuple[bytes, str]:
    """The same archive with one member damaged, so that its checksums still hold."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice([name for name in parts if name.endswith("data.pkl")] * 3 + list(parts))
    parts[name], told = mutators.damage(random, parts[name])
    return seeds.zipped(parts, compressed=False), f"{name}: {told}"


def _other_content(random: Random) -> tuple[bytes, str]:
    """What ``torch.save`` writes without complaint and nobody wants here."""
    import torch

    whole = torch.load(io.BytesIO(seeds.checkpoint()), weights_only=True)
    odd = {
        "a tensor": torch.zeros(3),
        "a list": [1, 2],
        "text": "x",
        "nothing": {},
        "weights alone": {"a.weight": torch.zeros(2, 2)},
        "nan": _with(whole, lambda weight: weight * float("nan")),
        "transposed": _with(whole, lambda weight: weight.T if weight.dim() == 2 else weight),
        "half": _with(whole, lambda weight: weight.half() if weight.is_floating_point() else weight),
        "integers": _with(whole, lambda weight: weight.long()),
        "empty tensors": _with(whole, lambda weight: weight[:0]),
        "without backbone": {key: value for key, value in whole.items() if key != "backbone"},
        "values": mutators_on(random, whole),
    }
    told = random.choice(tuple(odd))
    stream = io.BytesIO()
    torch.save(odd[told], stream, _use_new_zipfile_serialization=random.random() < 0.8)
    return stream.getvalue(), told


def _with(value, change):
    import torch

    if isinstance(value, torch.Tensor):
        return change(value) if value.dim() else value
    if isinstance(value, dict):
        return {key: _with(inner, change) for key, inner in value.items()}
    return value


def mutators_on(random: Random, whole):
    """The checkpoint with one value that is no tensor replaced by another type."""
    changed = dict(whole)
    key = random.choice(sorted(changed, key=str))
    changed[key] = random.choice((None, 1, "x", [], {}, float("nan"), {"name": 1}, [[]], -1))
    if isinstance(whole.get("backbone"), dict) and random.random() < 0.5:
        inner = dict(whole["backbone"])
        inner[random.choice(sorted(inner, key=str))] = random.choice((None, 1, "x", [], {}, 10**9, -1))
        changed = dict(whole) | {"backbone": inner}
    return changed


def recipes(random: Random, sandbox: Sandbox) -> Case:
    """``train --recipe`` (mostly ``--dry-run``), and ``--set`` with odd values."""
    whole = random.random() < 0.08
    if random.random() < 0.75:
        data, told = (seeds.RECIPE.encode(), "") if whole else mutators.damage_toml(random, seeds.RECIPE)
        sandbox.write("r.toml", data)
        argv = [
            "train",
            "--recipe",
            "r.toml",
            "--out",
            "run",
            "--device",
            "cpu",
            "--workers",
            "0",
            "--batch-size",
            "4",
            "--steps",
            "1",
            "--data",
            "synthetic:4:2",
            "--backbone",
            "mobilefacenet",
            "--set",
            "backbone.width=0.125",
        ]
    else:
        key = random.choice(
            (
                "loss.name",
                "loss.k",
                "loss.margin",
                "optimizer.lr",
                "run.batch_size",
                "schedule.steps",
                "data.degraded",
                "backbone.width",
                "run.seed",
                "evaluate.sets",
                "x.y",
                "loss",
                "",
                "data.path",
                "optimizer.optimizer",
                "learning_rate",
                "schedule.epochs",
            )
        )
        value = random.choice(
            (
                *mutators.NUMBERS,
                "[]",
                "{}",
                "true",
                "[1,2",
                "'x'",
                '"',
                "synthetic:0",
                "synthetic:-1:2",
                "synthetic:99999999999:1",
            )
        )
        told = f"{key}={value[:30]}"
        argv = [
            "train",
            *_FLAGS,
            "--backbone",
            "mobilefacenet",
            "--set",
            "backbone.width=0.125",
            "--set",
            f"{key}={value}",
        ]
    argv += ["--dry-run"] if random.random() < 0.8 else []
    argv += mutators.pick(random, ("--json",), 0.4)
    return Case(argv, told, ["run", "run/*"], whole=whole and not told and "--recipe" in argv)


def studies(random: Random, sandbox: Sandbox) -> Case:
    """``study --dry-run``."""
    for person in range(12):
        for photo in range(2):
            sandbox.write(f"people/p{person:02d}/{photo}.jpg", seeds.jpeg(person * 3 + photo))
    whole = random.random() < 0.1
    data, told = (seeds.STUDY.encode(), "") if whole else mutators.damage_toml(random, seeds.STUDY)
    sandbox.write("study.toml", data)
    argv = ["study", "study.toml", "--out", "out", "--dry-run", *mutators.pick(random, ("--json",), 0.4)]
    if random.random() < 0.2:
        key = random.choice(
            ("split.seed", "study.seeds", "test.far", "arms.arcface.loss.k", "x", "test.photos")
        )
        argv += ["--set", f"{key}={random.choice(mutators.NUMBERS)}"]
        whole = False
    return Case(argv, told, ["out", "out/*"], suspects=[], whole=whole)
