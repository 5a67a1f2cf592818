"""Lists of labelled pairs in every format, and ``.bin`` sets."""

from __future__ import annotations

import pickle
from random import Random

import numpy as np

from tests.fuzz import mutators, seeds
from tests.fuzz.families.photos import TINY, damaged_photo
from tests.fuzz.sandbox import Case, Sandbox

PEOPLE = ("Ann_A", "Bob_B", "Zoë_Ç", "Dan_D", "Eve_E", "Fay_F")
PHOTOS = 3


def _photo(person: str, number: int) -> str:
    return f"{person}/{person}_{number:04d}.jpg"


def write_people(random: Random, sandbox: Sandbox, root: str = "", *, damaged: float = 0.1) -> list[str]:
    """The photos that the lists name, some damaged or missing; gives what was done."""
    told = []
    for i, person in enumerate(PEOPLE):
        for number in range(1, PHOTOS + 1):
            data = seeds.jpeg(i)
            if random.random() < damaged:
                if random.random() < 0.3:
                    told.append("a photo is missing")
                    continue
                _, data, done = damaged_photo(random)
                told.append(done)
            sandbox.write(root + _photo(person, number), data)
    return told


def drawn(random: Random, count: int) -> list[tuple[str, int, str, int, bool]]:
    """Pairs: person, number, person, number, whether same; as many of each kind."""
    found = []
    for i in range(count):
        a = random.choice(PEOPLE)
        b = a if i % 2 == 0 else random.choice([one for one in PEOPLE if one != a])
        first = random.randint(1, PHOTOS)
        second = (
            random.choice([n for n in range(1, PHOTOS + 1) if n != first])
            if a == b
            else random.randint(1, PHOTOS)
        )
        found.append((a, first, b, second, a == b))
    return found


def lfw(pairs: list[tuple[str, int, str, int, bool]]) -> str:
    """``pairs.txt`` of LFW."""
    same = [f"{a}\t{m}\t{n}" for a, m, _, n, one in pairs if one]
    different = [f"{a}\t{m}\t{b}\t{n}" for a, m, b, n, one in pairs if not one]
    return "\n".join([f"1\t{len(same)}", *same, *different]) + "\n"


def labelled(pairs: list[tuple[str, int, str, int, bool]], between: str = " ") -> str:
    """``path path label``."""
    rows = (between.join((_photo(a, m), _photo(b, n), "1" if one else "0")) for a, m, b, n, one in pairs)
    return "\n".join(rows) + "\n"


def calfw(pairs: list[tuple[str, int, str, int, bool]]) -> str:
    """Two lines a pair."""
    rows = (f"{_photo(a, m)} {int(one)}\n{_photo(b, n)} {int(one)}" for a, m, b, n, one in pairs)
    return "\n".join(rows) + "\n"


def cfp(pairs: list[tuple[str, int, str, int, bool]]) -> str:
    """Lines ``i,j`` into two lists, as CFP's protocol has them."""
    return "\n".join(f"{i + 1},{i + 2}" for i in range(len(pairs))) + "\n"


def ijb(pairs: list[tuple[str, int, str, int, bool]]) -> dict[str, str]:
    """The three files of IJB-B and IJB-C."""
    names = [_photo(person, number) for person in PEOPLE for number in range(1, PHOTOS + 1)]
    tid = {name: i // 2 for i, name in enumerate(names)}
    lines = "".join(f"{name} {tid[name]} {i}\n" for i, name in enumerate(names))
    labels = "".join(f"{tid[_photo(a, m)]} {tid[_photo(b, n)]} {int(one)}\n" for a, m, b, n, one in pairs)
    points = "".join(f"{name} 38 51 73 51 56 71 41 92 70 92 0.99\n" for name in names)
    return {
        "meta/ijbc_face_tid_mid.txt": lines,
        "meta/ijbc_template_pair_label.txt": labels,
        "meta/ijbc_name_5pts_score.txt": points,
    }


def pairs(random: Random, sandbox: Sandbox) -> Case:
    """A list of pairs, damaged or whole, for ``verify`` and now and then for ``data check --against``."""
    wanted = random.choice((2, 12, 40))
    chosen = drawn(random, wanted)
    broken = random.random() < 0.75
    kind = random.choice(("lfw", "lfw", "labelled", "labelled", "labelled", "calfw", "cfp", "ijb"))
    told = write_people(
        random,
        sandbox,
        random.choice(("", "images/")) if kind != "ijb" else "loose_crop/",
        damaged=0.1 if broken else 0.0,
    )
    damaged = ""
    if kind == "ijb":
        files = {name: text.encode() for name, text in ijb(chosen).items()}
        if broken:
            damaged = random.choice(tuple(files))
            files[damaged], done = mutators.damage_text(random, files[damaged].decode())
            told.append(done)
        for name, data in files.items():
            sandbox.write("ijbc/" + name, data)
        given, damaged = "ijbc", damaged and "ijbc/" + damaged
        for person in PEOPLE:
            if (sandbox.work / "loose_crop" / person).is_dir():
                (sandbox.work / "ijbc/loose_crop").mkdir(exist_ok=True)
                (sandbox.work / "loose_crop" / person).rename(sandbox.work / "ijbc/loose_crop" / person)
    else:
        text = {
            "lfw": lfw,
            "labelled": lambda rows: labelled(rows, random.choice((" ", "\t", ",", ";"))),
            "calfw": calfw,
            "cfp": cfp,
        }[kind](chosen)
        data = text.encode()
        given = random.choice(("pairs.txt", "pairs.csv", "pairs", "pairs.tsv"))
        if broken:
            data, done = mutators.damage_text(random, text)
            told.append(done)
            damaged = given
        sandbox.write(given, data)
    return _verify(
        random,
        given,
        kind,
        damaged,
        told,
        wanted,
        whole=not broken and kind not in ("cfp", "ijb") and wanted > 2,
    )


def _verify(
    random: Random, given: str, kind: str, damaged: str, told: list[str], wanted: int, *, whole: bool
) -> Case:
    outputs: list[str] = []
    argv = ["verify", given, *TINY, "--threads", "1"]
    if random.random() < 0.07 and kind != "ijb":
        return Case(["data", "check", ".", "--against", given], "; ".join(told), suspects=[])
    argv += mutators.pick(random, ("--json", "--flip", "--no-cache", "--quiet"), 0.25)
    if random.random() < 0.15:
        argv += ["--format", random.choice(("lfw", "labelled", "calfw", "bin", "ijb", "x"))]
        whole = False
    if random.random() < 0.2:
        name = random.choice(("scores.csv", "scores.npz"))
        argv, outputs = [*argv, "--scores", name], [*outputs, name]
    if random.random() < 0.06:
        argv, outputs = [*argv, "--report", "r.html"], [*outputs, "r.html"]
    if random.random() < 0.15:
        argv, outputs = [*argv, "--save-threshold", "card.toml"], [*outputs, "card.toml"]
        if random.random() < 0.5:
            argv += ["--far", random.choice(("0.1", "0.5", "0", "nan", "2", "1e-9"))]
        whole = False  # few pairs measure few rates
    if random.random() < 0.1:
        argv += ["--bootstrap", random.choice(("10", "50", "-1"))]
        whole = False
    counts = {"pairs": wanted} if whole and "--json" in argv else {}
    return Case(
        argv,
        f"{kind}: " + "; ".join(told),
        outputs,
        suspects=[damaged, "list", "ijbc"]
        if damaged and not set(argv) & {"--save-threshold", "--bootstrap", "--format"}
        else [],
        whole=whole,
        counts=counts,
    )


class _Odd:
    """Something that only an unrestricted unpickler would make."""

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.mkdir, ("pickle-ran",)


def bins(random: Random, sandbox: Sandbox) -> Case:
    """insightface's ``.bin``."""
    data, told, whole = seeds.evaluation_bin(12, random.choice((2, 4, 5))), "", False
    images, flags = pickle.loads(data)
    kind = random.random()
    if kind < 0.12:
        whole = True
    elif kind < 0.6:
        data, told = mutators.damage(random, data)
    else:
        odd = {
            "one image less": (images[:-1], flags),
            "flags are numbers": (images, [int(flag) for flag in flags]),
            "flags are text": (images, ["True"] * len(flags)),
            "arrays": ([np.frombuffer(image, np.uint8) for image in images], flags),
            "objects": ([np.array([1, "x"], object) for _ in images], flags),
            "floats": ([np.zeros((3, 3))] * len(images), flags),
            "nothing": ([], []),
            "not a pair": images,
            "a dictionary": {"bins": images, "issame": flags},
            "a call": (images, [_Odd()] * len(flags)),
            "images that are None": ([None] * len(images), flags),
            "damaged images": ([damaged_photo(random)[1] for _ in images], flags),
            "all same": (images, [True] * len(flags)),
            "deep": _deep(),
        }
        told = random.choice(tuple(odd))
        data = pickle.dumps(odd[told], protocol=random.choice((0, 2, 4, 5)))
    sandbox.write("lfw.bin", data)
    case = _verify(random, "lfw.bin", "bin", "" if whole else "lfw.bin", [told], 12, whole=whole)
    case.argv = [word for word in case.argv if word != "--aligned"] if random.random() < 0.5 else case.argv
    if whole and "verify" in case.argv and "--aligned" not in case.argv:
        case.counts = {}
    return case


def _deep() -> object:
    value: object = []
    for _ in range(300):
        value = [value]
    return value
