"""Photos of every format with every kind of damage, odd names, and folders with more than photos in them."""

from __future__ import annotations

from random import Random

from tests.fuzz import mutators, seeds
from tests.fuzz.sandbox import Case, Sandbox

TINY = ("--model", "tiny", "--aligned")
_OUTPUTS = {
    "o.npy": ["o.npy", "o.csv", "o.json"],
    "o.npz": ["o.npz", "o.csv", "o.json"],
    "o.parquet": ["o.parquet"],
    "s/": ["s", "s/part-*.parquet", "s/_facerec.json"],
}


def damaged_photo(random: Random) -> tuple[str, bytes, str]:
    """(suffix, bytes, what was done) of a photo of any format, damaged."""
    variant = random.choice(seeds.VARIANTS)
    suffix, data = seeds.photo(
        variant, random.randrange(5), *random.choice(((112, 112), (112, 112), (40, 60), (1, 1), (300, 2)))
    )
    if "jpeg" in variant and random.random() < 0.1:
        kind = random.choice((mutators.jpeg_sizes, mutators.many_scans))
        return suffix, kind(random, data), f"{variant}: {kind.__name__}"
    data, told = mutators.damage(random, data)
    if random.random() < 0.05:  # under the name of another format
        suffix = random.choice((".jpg", ".png", ".heic", ".tif", ".pfm", ".hdr", ".avif", ".gif"))
    return suffix, data, f"{variant}: {told}"


def some_photos(
    random: Random,
    sandbox: Sandbox,
    folder: str = "p",
    *,
    most: int = 4,
    damaged: float = 0.8,
    faces: bool = False,
) -> tuple[list[str], list[str], list[str]]:
    """Write photos below ``folder``; gives their names, those of the damaged ones, and what was done."""
    names, bad, told = [], [], []
    for i in range(random.randint(1, most)):
        if random.random() < damaged:
            suffix, data, done = damaged_photo(random)
            if faces and random.random() < 0.3:
                suffix = ".jpg"
                data, done = mutators.damage(random, seeds.face(random.randrange(5)))
        else:
            suffix, data = seeds.photo(random.choice(seeds.VARIANTS), i)
            done = ""
        name = f"{folder}/{i}{suffix}"
        if random.random() < 0.15:
            odd = mutators.odd_name(random, suffix)
            name = f"{folder}/{odd}" if f"{folder}/{odd}" not in names else name
        sandbox.write(name, data)
        names.append(name)
        if done:
            bad.append(name)
            told.append(done)
    return names, bad, told


def photos(random: Random, sandbox: Sandbox) -> Case:
    """Photos for ``embed`` most of the time, and for every other command that reads them."""
    kind = random.random()
    if kind < 0.65:
        return _embed(random, sandbox)
    if kind < 0.78:
        return _two_photos(random, sandbox)
    if kind < 0.9:
        return _align(random, sandbox)
    return _all_pairs(random, sandbox)


def _embed(random: Random, sandbox: Sandbox) -> Case:
    faces = random.random() < 0.12  # the default pack, which searches
    names, _, told = some_photos(random, sandbox, faces=faces, damaged=random.choice((0.0, 0.8, 1.0)))
    output = random.choice(tuple(_OUTPUTS))
    whole = not told
    given = ["./" + name if name.startswith("-") else name for name in names]
    if random.random() < 0.5:
        given = ["p"]
        suffixes = _suffixes()
        hidden = [name for name in names if name.split("/", 1)[1].startswith(".")]
        names = [name for name in names if name not in hidden and _suffix(name) in suffixes]
        if random.random() < 0.3:
            _, planted = mutators.plant(random, sandbox.work / "p")
            told.append(planted)
            whole = False
        whole = whole and bool(names)
    elif any(set(name) & set("*?[") for name in given):
        whole = False  # such names are patterns too
    argv = ["embed", *given, "-o", output, "--threads", "1", *(() if faces else TINY)]
    outputs = list(_OUTPUTS[output])
    if random.random() < 0.2:
        argv += ["--crops", "c"]
        outputs += ["c", "c/*"]
    if random.random() < 0.1 and output != "s/":
        argv += ["--preview", "sheet.html"]
        outputs += ["sheet.html"]
    argv += [flag for flag in ("--flip", "--json", "--quiet", "--verbose") if random.random() < 0.2]
    if faces and random.random() < 0.5:
        argv += random.choice(
            (["--rotate", "auto"], ["--faces", "main"], ["--min-size", "20"], ["--max-side", "200"])
        )
    table = "o.csv" if "o.csv" in outputs else ""
    return Case(argv, "; ".join(told), outputs, names, table, whole=whole)


def _suffix(name: str) -> str:
    import os

    return os.path.splitext(name)[1].lower()  # noqa: PTH122


def _suffixes() -> frozenset[str]:
    from facerec_cli.images.inputs import IMAGE_SUFFIXES

    return frozenset(IMAGE_SUFFIXES)


def _two_photos(random: Random, sandbox: Sandbox) -> Case:
    names, bad, told = some_photos(random, sandbox, most=2)
    while len(names) < 2:
        names.append(sandbox.write("p/whole.jpg", seeds.jpeg(3)))
    given = ["./" + name if name.startswith("-") else name for name in names[:2]]
    argv = ["verify", *given, *TINY, *mutators.pick(random, ("--json", "--flip", "--no-cache"), 0.3)]
    if random.random() < 0.5:
        argv += ["--threshold", random.choice(("0.3", "nan", "5", "-1", "x", "", "1e400"))]
    suspects = (
        [name for name in bad if name.isascii()] if len(bad) == len([n for n in bad if n.isascii()]) else []
    )
    threshold_is_odd = "--threshold" in argv
    return Case(argv, "; ".join(told), suspects=[] if threshold_is_odd else suspects)


def people_folder(random: Random, sandbox: Sandbox, *, damaged: float = 0.3) -> tuple[list[str], list[str]]:
    """A folder of people, some of whose photos are damaged; gives the photos' names and what was done."""
    names, told = [], []
    for person in range(random.randint(1, 4)):
        folder = f"people/p{person}" if random.random() < 0.9 else "people/" + mutators.odd_name(random, "")
        if (sandbox.work / folder).exists():
            continue
        made, _, done = some_photos(random, sandbox, folder, most=3, damaged=damaged)
        names += made
        told += done
    if random.random() < 0.25:
        _, kind = mutators.plant(random, sandbox.work / "people")
        told.append(kind)
    return names, told


def _align(random: Random, sandbox: Sandbox) -> Case:
    for i in range(random.randint(0, 2)):
        sandbox.write(f"people/a/face{i}.jpg", seeds.face(i))
    names, told = people_folder(random, sandbox)
    argv = ["data", "align", "people", "t", *mutators.pick(random, ("--json",), 0.3)]
    if random.random() < 0.3:
        argv += ["--max-side", random.choice(("32", "64", "320", "5000"))]
    rows = [name.removeprefix("people/") for name in names if _suffix(name) == ".jpg" and "\\" not in name]
    rows = [name for name in rows if not any(part.startswith(".") for part in name.split("/"))]
    return Case(argv, "; ".join(told), ["t", "t/*"], rows, "t/alignment.tsv")


def _all_pairs(random: Random, sandbox: Sandbox) -> Case:
    _, told = people_folder(random, sandbox)
    argv = ["verify", "people", "--all-pairs", *TINY, *mutators.pick(random, ("--json", "--flip"), 0.3)]
    outputs = []
    if random.random() < 0.2:
        argv, outputs = [*argv, "--scores", "scores.csv"], ["scores.csv"]
    if random.random() < 0.05:
        argv, outputs = [*argv, "--report", "r.html"], [*outputs, "r.html"]
    return Case(argv, "; ".join(told), outputs)
