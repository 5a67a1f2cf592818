"""Training data: folders of people, lists, ``.rec``, tar shards; ``data`` and ``train`` read them."""

from __future__ import annotations

import io
import tarfile
from random import Random

from tests.fuzz import mutators, seeds
from tests.fuzz.families.photos import people_folder
from tests.fuzz.sandbox import Case, Sandbox

_TRAIN = ["--steps", "1", "--batch-size", "4", "--device", "cpu", "--workers", "0"]
_TRAIN += ["--backbone", "mobilefacenet", "--embedding-size", "16", "--set", "backbone.width=0.125"]


def data_command(
    random: Random,
    given: str,
    told: list[str],
    *,
    suspects: tuple[str, ...] = (),
    whole: bool = False,
    photos: int = 0,
) -> Case:
    """One of the commands that read training data."""
    kind = random.choice(
        (
            "info",
            "info",
            "check",
            "check",
            "split",
            "pairs",
            "bin",
            "convert",
            "convert",
            "align",
            "train",
            "dry",
        )
    )
    outputs: list[str] = []
    counts: dict[str, int] = {}
    argv = ["data", kind, given]
    if kind in ("info", "check"):
        argv += mutators.pick(random, ("--json",), 0.6)
        counts = {"photos": photos} if photos and kind == "info" else {}
        if kind == "check" and random.random() < 0.2:
            argv += random.choice((["--no-near"], ["--against", given], ["--against", "nosuch"]))
            suspects = ()
            whole = False
        whole = whole and kind == "info"  # the check may find nearly equal photos
    elif kind == "split":
        argv += ["-o", "lists", *mutators.pick(random, ("--json",), 0.5)]
        argv += random.choice(
            (
                [],
                ["--test-identities", random.choice(("0.5", "1", "99", "nan", "1.5", "inf"))],
                ["--min-photos", "2"],
            )
        )
        outputs, whole = ["lists", "lists/t*.txt"], False
    elif kind in ("pairs", "bin"):
        name = "out.txt" if kind == "pairs" else "out.bin"
        suspects = ()  # data that can be read may still have too few photos for pairs
        argv += [
            "-o",
            name,
            "--pairs",
            random.choice(("2", "6", "100000")),
            "--folds",
            random.choice(("1", "2", "10")),
        ]
        outputs, whole = [name], False
    elif kind == "convert":
        target, files = random.choice(
            (
                ("c", ["c", "c/*"]),
                ("c.rec", ["c.rec", "c.idx", "c.lst", "c.classes.txt", "property"]),
                ("c.rec", ["c.rec", "c.idx", "c.lst", "c.classes.txt", "property"]),
                ("c.txt", ["c.txt", "c.classes.txt"]),
                ("c.tar", ["c", "c/*", "c.tar", "c.tar/*"]),
            )
        )
        argv, outputs = [*argv, target], files
        whole = whole and target == "c"
    elif kind == "align":
        argv += ["t", "--model", "sface"]
        outputs, whole = ["t", "t/*"], False
    else:
        argv = ["train", "--data", given, "--out", "run", *_TRAIN, *mutators.pick(random, ("--json",), 0.5)]
        argv += ["--dry-run"] if kind == "dry" else []
        outputs, whole = ["run", "run/*"], False
    if suspects:  # or one of its photos, or all of them
        suspects = (*suspects, *(f"p{i}" for i in range(6)), "batch", "no such file")
    return Case(argv, "; ".join(told), outputs, suspects=list(suspects), whole=whole, counts=counts)


def people(random: Random, sandbox: Sandbox) -> Case:
    """A folder of people, or a list of ``path label``."""
    if random.random() < 0.4:
        _, told = people_folder(random, sandbox)
        return data_command(random, "people", told)
    broken = random.random() < 0.8
    rows = []
    for i in range(random.choice((2, 6, 12))):
        name = f"p{i // 2}/{i}.jpg"
        if broken and random.random() < 0.1:
            name = f"p{i // 2}/" + mutators.odd_name(random)
        sandbox.write(
            name, seeds.jpeg(i) if random.random() < 0.9 else mutators.damage(random, seeds.jpeg(i))[0]
        )
        rows.append((name, f"p{i // 2}", i // 2))
    form = random.choice(("label", "name", "im2rec", "insightface"))
    between = random.choice((" ", "\t", ",", ";"))
    text = ""
    for i, (name, person, label) in enumerate(rows):
        text += {
            "label": f"{name}{between}{label}",
            "name": f"{name}{between}{person}",
            "im2rec": f"{i}\t{label}\t{name}",
            "insightface": f"1\t{name}\t{label}",
        }[form] + "\n"
    given = random.choice(("train.txt", "train.lst", "train.csv", "train.tsv"))
    told = [form]
    if broken:
        data, done = mutators.damage_text(random, text)
        told.append(done)
    else:
        data = text.encode()
    sandbox.write(given, data)
    plain = not broken and form in ("label", "name")
    suspects = (given, *(name for name, _, _ in rows)) if broken else ()
    return data_command(random, given, told, suspects=suspects, whole=plain, photos=len(rows) if plain else 0)


def records(random: Random, sandbox: Sandbox) -> Case:
    """``.rec`` with its companions, one of them damaged, missing or another set's."""
    files = dict(seeds.recordio(3, 2, identities=random.random() < 0.7))
    kind = random.random()
    told, suspects = [], []
    if kind < 0.75:
        name = random.choice(
            ("train.rec", "train.rec", "train.rec", "train.idx", "train.idx", "property", "train.lst")
        )
        if name == "train.rec":
            files[name], done = mutators.damage(random, files[name])
        else:
            files[name], done = mutators.damage_text(random, files[name].decode())
        told, suspects = [f"{name}: {done}"], [name, "train.rec"]
    elif kind < 0.9:
        for name in mutators.pick(random, ("train.idx", "property", "train.lst"), 0.6):
            del files[name]
            told.append(f"without {name}")
    if random.random() < 0.1:
        files["train.idx"] = seeds.recordio(5, 3)["train.idx"]
        told.append("another set's index")
    for name, data in files.items():
        sandbox.write("ms1m/" + name, data)
    given = random.choice(("ms1m", "ms1m/train.rec"))
    whole = not told
    return data_command(random, given, told, suspects=tuple(suspects), whole=whole, photos=6 if whole else 0)


def shards(random: Random, sandbox: Sandbox) -> Case:
    """Tar shards: damaged, compressed, with odd members."""
    told = []
    for i in range(random.randint(1, 2)):
        data = seeds.shard(3, 2)
        kind = random.random()
        if kind < 0.5:
            data, done = mutators.damage(random, data)
            told.append(done)
        elif kind < 0.8:
            data, done = _odd_shard(random)
            told.append(done)
        sandbox.write(f"shards/s-{i:03d}.tar", data)
    if random.random() < 0.2:
        text = "".join(f"p{i}\n" for i in range(random.choice((1, 3, 5))))
        sandbox.write("shards/shards.classes.txt", mutators.damage_text(random, text)[0])
        told.append("classes")
    given = random.choice(("shards", "shards/*.tar", "shards/s-{000..001}.tar", "shards/s-000.tar"))
    return data_command(random, given, told, suspects=("s-000.tar", "s-001.tar", "shards") if told else ())


def _odd_shard(random: Random) -> tuple[bytes, str]:
    stream = io.BytesIO()
    kind = random.choice(
        ("compressed", "labels", "links", "names", "duplicates", "no label", "long", "sparse", "numbers")
    )
    with tarfile.open(fileobj=stream, mode="w:gz" if kind == "compressed" else "w") as archive:

        def add(name: str, data: bytes, **more: object) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in more.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))

        for i in range(4):
            label = (
                random.choice(mutators.NUMBERS).encode()
                if kind in ("labels", "numbers")
                else str(i // 2).encode()
            )
            key = {
                "names": random.choice(("../../up", "/abs", "a/b", "x" * 200, "é\u0301", ".hidden", ""))
            }.get(kind, f"{i:04d}")
            add(f"{key}.jpg", seeds.jpeg(i))
            if kind != "no label" or i % 2:
                add(f"{key}.cls", label * (5000 if kind == "long" else 1))
            if kind == "links":
                add(
                    f"{key}l.jpg",
                    b"",
                    type=random.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)),
                    linkname=random.choice(("/etc/hostname", f"{key}.jpg", "../x")),
                )
                add(f"{key}l.cls", label)
            if kind == "duplicates":
                add(f"{key}.jpg", seeds.jpeg(9))
                add(f"{key}.cls", b"7")
            if random.random() < 0.5:
                add(
                    f"{key}.txt",
                    random.choice(
                        (
                            b"p/a.jpg",
                            b"../../out.jpg",
                            b"/etc/x.jpg",
                            b"a\nb.jpg",
                            b"\xff\xfe",
                            b"",
                            b"x" * 100_000,
                        )
                    ),
                )
    return stream.getvalue(), kind
