"""Protocols of searches, one of their lists damaged, for ``identify --evaluate``."""

from __future__ import annotations

from random import Random

from tests.fuzz import mutators, seeds
from tests.fuzz.families.photos import TINY, damaged_photo
from tests.fuzz.sandbox import Case, Sandbox
from tests.protocols.made_up import SAMPLES


def protocols(random: Random, sandbox: Sandbox) -> Case:
    """A protocol of each format, damaged or whole."""
    kind = random.choice(tuple(SAMPLES))
    inputs = [path.relative_to(sandbox.work).as_posix() for path in SAMPLES[kind](sandbox.work)]
    files = sorted(path for path in sandbox.work.rglob("*") if path.is_file())
    photos = [path for path in files if path.suffix in (".jpg", ".png")]
    broken = random.random() < 0.8
    told: list[str] = []
    for number, path in enumerate(photos):
        path.write_bytes(seeds.jpeg(number))
        if broken and random.random() < 0.1:
            data, done = damaged_photo(random)[1:]
            path.write_bytes(data)
            told.append(done)
    lists = [path for path in files if path not in photos]
    suspects: list[str] = []
    if broken and lists:
        path = random.choice(lists)
        damage = mutators.damage if path.suffix == ".mat" else mutators.damage_text
        whole = path.read_bytes()
        data, done = damage(random, whole if path.suffix == ".mat" else whole.decode())
        path.write_bytes(data)
        name = path.relative_to(sandbox.work).as_posix()
        told.append(f"{name}: {done}")
        suspects = [name, *inputs, "list", "protocol"]
    # O1 to O3 are made where they are asked for.
    named = ["--format", kind] if kind == "lfw-open" or random.random() < 0.1 else []
    argv = ["identify", *inputs, "--evaluate", *named, *TINY, "--threads", "1"]
    argv += mutators.pick(random, ("--json", "--flip", "--no-cache", "--quiet"), 0.25)
    if random.random() < 0.1:
        argv += ["--format", random.choice((*SAMPLES, "x"))]
        suspects, broken = [], True
    return Case(argv, f"{kind}: " + "; ".join(told), suspects=suspects, whole=not broken)
