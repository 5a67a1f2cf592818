"""Tables of groups, threshold cards, and results of earlier runs that a command goes on from."""

from __future__ import annotations

import io
import json
from random import Random

from tests.fuzz import mutators, seeds
from tests.fuzz.families.pairs import PEOPLE, drawn, labelled
from tests.fuzz.families.photos import TINY
from tests.fuzz.families.vectors import NAMES
from tests.fuzz.sandbox import Case, Sandbox


def groups(random: Random, sandbox: Sandbox) -> Case:
    """``verify --by``."""
    sandbox.write("v.npz", seeds.vector_files(NAMES)["v.npz"])
    sandbox.write("pairs.txt", labelled(drawn(random, 40)))
    between = random.choice((",", ",", ";", "\t"))
    rows = [f"{person}{between}{'AB'[i % 2]}" for i, person in enumerate(PEOPLE)]
    rows += [f"{name}{between}C" for name in random.sample(NAMES, 3)]
    whole = random.random() < 0.12 and between == ","
    data, told = (
        (("\n".join(rows) + "\n").encode(), "")
        if whole
        else mutators.damage_text(random, "\n".join(rows) + "\n")
    )
    sandbox.write("g.csv", data)
    argv = [
        "verify",
        "pairs.txt",
        "--embeddings",
        "v.npz",
        "--by",
        "g.csv",
        "--far",
        random.choice(("0.2", "0.5")),
    ]
    outputs = []
    if random.random() < 0.1:
        argv, outputs = [*argv, "--report", "r.html"], ["r.html"]
    return Case(
        [*argv, *mutators.pick(random, ("--json",), 0.5)],
        told,
        outputs,
        suspects=[] if whole else ["g.csv"],
        whole=False,
    )


def cards(random: Random, sandbox: Sandbox) -> Case:
    """``verify a b --threshold card.toml``."""
    sandbox.write("a.jpg", seeds.jpeg(1))
    sandbox.write("b.jpg", seeds.jpeg(2))
    whole = random.random() < 0.1
    data, told = (seeds.card().encode(), "") if whole else mutators.damage_toml(random, seeds.card())
    name = random.choice(("card.toml", "card.toml", "card", "0.3", "-card.toml"))
    sandbox.write(name, data)
    given = name if not name.startswith("-") else "./" + name
    argv = [
        "verify",
        "a.jpg",
        "b.jpg",
        *TINY,
        "--threshold",
        given,
        *mutators.pick(random, ("--json", "--flip"), 0.3),
    ]
    return Case(
        argv,
        told,
        suspects=[] if whole else [name, "threshold card"],
        whole=whole and "--flip" not in argv and name.endswith(".toml"),
    )


def results(random: Random, sandbox: Sandbox) -> Case:
    """Results of an earlier run, damaged: ``embed --resume``, ``embed`` again, ``data align --resume``."""
    photos = [sandbox.write(f"p/{i}.jpg", seeds.jpeg(i)) for i in range(3)]
    kind = random.choice(("npy", "parts", "shards", "shards", "align", "pairs"))
    if kind in ("npy", "parts"):
        files = seeds.vector_files(tuple(photos))
        description, done = mutators.damage_json(random, json.loads(files["v.json"]))
        sandbox.write("o.npy", mutators.damage(random, files["v.npy"])[0])
        sandbox.write("o.csv", mutators.damage_text(random, files["v.csv"].decode())[0])
        sandbox.write("o.json", description)
        if kind == "parts":
            for i in range(random.randint(1, 2)):
                name = random.choice(
                    (f"part-{i:06d}.npz", f"part-{i:06d}.parquet", "job.json", "x", ".part.tmp")
                )
                sandbox.write(
                    f"o.npy.parts/{name}",
                    random.choice((description, files["v.npz"], files["v.parquet"], b"")),
                )
        argv = ["embed", "p", "-o", "o.npy", *TINY, *random.choice((["--resume"], ["--force"], []))]
        return Case(argv, f"{kind}: {done}", ["o.npy", "o.csv", "o.json", "o.npy.parts", "o.npy.parts/*"])
    if kind == "shards":
        made = seeds.vector_files(tuple(photos))["v.parquet"]
        data, done = mutators.damage(random, made)
        sandbox.write("s/part-000000.parquet", data)
        if random.random() < 0.7:
            sandbox.write(
                "s/_facerec.json",
                mutators.damage_json(
                    random, {"photos": 3, "shards": 1, "model": {}, "settings": {}, "finished": True}
                )[0],
            )
        argv = ["embed", "p", "-o", "s/", *TINY, *random.choice((["--resume"], ["--force"], []))]
        return Case(argv, f"{kind}: {done}", ["s", "s/*"])
    if kind == "align":
        sandbox.write("people/a/1.jpg", seeds.face(0))
        sandbox.write("t/a/1.jpg", random.choice((seeds.jpeg(0), b"")))
        table = "photo\tstatus\tfaces\tscore\tcrop\na/1.jpg\tok\t1\t0.9\ta/1.jpg\n"
        data, done = mutators.damage_text(random, table)
        sandbox.write("t/alignment.tsv", data)
        if random.random() < 0.6:
            sandbox.write(
                "t/.alignment.json", mutators.damage_json(random, {"model": "sface", "faces": "main"})[0]
            )
        return Case(["data", "align", "people", "t", "--resume"], f"{kind}: {done}", ["t", "t/*"])
    stream = io.StringIO(labelled(drawn(random, 4)))
    sandbox.write("lists/test.txt", stream.getvalue())
    return Case(["data", "pairs", "p", "-o", "lists/test.txt"], "an output that is there", ["lists/test.txt"])
