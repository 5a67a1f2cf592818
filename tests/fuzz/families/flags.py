"""Whole inputs and odd flags: values out of range, of another type, twice, together, in the way of each other."""

# ruff: noqa: E501 - the tables of odd values
from __future__ import annotations

from random import Random

from tests.fuzz import mutators, seeds
from tests.fuzz.families.pairs import drawn, labelled, write_people
from tests.fuzz.sandbox import Case, Sandbox

_NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 30,
    "x",
    "",
    "0.5",
    "1.5",
    "1,5",
    "99999",
    " 1",
    "1 ",
    "--",
    "٣",
)
_PLACES = (
    "o.npy",
    "p",
    "p/0.jpg",
    "pairs.txt",
    ".",
    "..",
    "/",
    "",
    "nosuch/o.npy",
    "o",
    "o.txt",
    "/dev/null",
    "/dev/stdout",
    "-",
    "o.npy/",
    "a" * 300,
    "p/o.npy",
    "/proc/x",
    "\n",
    "o\0.npy",
    "~/x.npy",
    "link",
)
_FLAGS: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "embed": (
        ("p",),
        {
            "-o": _PLACES, "--model": ("tiny", "nosuch", "", ".", "p/0.jpg", "pairs.txt", "pack:tiny", "sface"), "--device": ("cpu", "cuda", "x", "", "auto"),
            "--threads": _NUMBERS[:8], "--batch-size": _NUMBERS, "--faces": ("all", "main", "x", ""), "--min-score": _NUMBERS, "--min-size": _NUMBERS,
            "--max-side": _NUMBERS, "--rotate": ("auto", "none", "90", ""), "--crops": _PLACES, "--preview": _PLACES, "--color": ("rgb", "bgr", "x"),
            "--mean": ("1,2,3", "1,2", "nan", "x", ""), "--std": ("0", "-1", "1,1,1"), "--size": ("112", "112x112", "0x0", "-1x5", "x"), "--engine": ("local", "x"),
        },
    ),
    "verify": (
        ("pairs.txt",),
        {
            "--format": ("lfw", "labelled", "x", "", "bin"), "--root": _PLACES, "--model": ("tiny", "nosuch", ""), "--embeddings": ("nosuch.npy", "pairs.txt", "p", ""),
            "--batch-size": _NUMBERS, "--min-score": _NUMBERS, "--far": _NUMBERS, "--bootstrap": ("-1", "0", "10", "x", "nan"), "--scores": ("s.csv", "s.npz", "s.txt", *_PLACES),
            "--report": ("r.html", *_PLACES), "--save-threshold": ("c.toml", *_PLACES), "--by": ("pairs.txt", "nosuch", "p", ""), "--threshold": _NUMBERS, "--faces": ("all", "main", "x"),
        },
    ),
    "data split": ((".",), {"-o": _PLACES, "--test-identities": _NUMBERS, "--min-photos": _NUMBERS, "--seed": _NUMBERS}),
    "data pairs": ((".",), {"-o": _PLACES, "--pairs": ("2", "3", "0", "-5", "10000000000", "x"), "--folds": _NUMBERS, "--seed": _NUMBERS}),
    "data bin": ((".",), {"-o": _PLACES, "--pairs": ("2", "3", "0", "-5", "x"), "--folds": _NUMBERS}),
    "data convert": ((".",), {"": _PLACES, "--to": ("folder", "rec", "list", "tar", "x", "")}),
    "data align": (("Ann_A",), {"": ("t", *_PLACES), "--faces": ("main", "all", "x"), "--max-side": _NUMBERS, "--model": ("sface", "tiny", "x")}),
    "data info": ((), {"": (".", "nosuch", "", "synthetic:3", "synthetic:0", "synthetic:x", "synthetic:-1:-1", "synthetic:5:999999999999", "pairs.txt", "p/0.jpg", "/dev/null", "http://127.0.0.1:9/s-{0..1}.tar#classes=3&photos=5", "s-{000..999999999}.tar", "s-{z..a}.tar")}),
    "models show": ((), {"": ("tiny", "sface", "nosuch", "", ".", "/", "p", "p/0.jpg", "../x", "a" * 300, "\n", "pack:", "buffalo_l")}),
    "models remove": ((), {"": ("sface", "nosuch", "", ".", "..", "../beside", "/", "buffalo_l")}),
    "models card": (("tiny",), {"-o": _PLACES}),
    "bench": (("p",), {"--seconds": ("0", "-1", "0.1", "nan", "x"), "--model": ("tiny", "x"), "--threads": ("1", "0", "-1"), "--batch-size": ("1", "0", "x")}),
    "doctor": ((), {"": ("",), "--x": ("1",)}),
}  # fmt: skip


def flags(random: Random, sandbox: Sandbox) -> Case:
    """A command with some of its flags at odd values."""
    write_people(random, sandbox, damaged=0)
    sandbox.write("pairs.txt", labelled(drawn(random, 12)))
    sandbox.write("p/0.jpg", seeds.jpeg(0))
    sandbox.write("p/1.jpg", seeds.jpeg(1))
    (sandbox.work / "link").symlink_to("nosuch/place")
    command = random.choice(tuple(_FLAGS))
    given, known = _FLAGS[command]
    argv = [*command.split(), *given]
    required = [name for name in ("-o", "") if name in known]
    chosen = required + random.sample(
        [name for name in known if name not in required],
        min(len(known) - len(required), random.randint(0, 2)),
    )
    for name in chosen:
        argv += [name] if name else []
        argv.append(random.choice(known[name]) if random.random() < 0.8 or name not in ("-o",) else "o.npy")
    if command in ("embed", "verify"):
        argv += [*([] if "--model" in argv else ["--model", "tiny"]), "--aligned"]
    argv += mutators.pick(random, ("--json", "--quiet", "--force", "--resume", "--nosuch", "--debugx"), 0.12)
    argv = [word for word in argv if "\0" not in word]
    stated = [
        "o.npy",
        "o.csv",
        "o.json",
        "o",
        "o/*",
        "o.txt",
        "out*",
        "p/o.*",
        "nosuch",
        "nosuch/*",
        "~",
        "~/*",
        "\n",
        "\n/*",
        "\n.*",
        "[-]",
        "[-]/*",
        "s.csv",
        "s.npz",
        "c.toml",
        "r.html",
        "t",
        "t/*",
        "o.npy/*",
        "x.*",
        "train.txt",
        "test.txt",
        "p/train.txt",
        "p/test.txt",
        "_facerec.json",
        "part-*",
        "pairs.txt/*",
        ".alignment.json",
        "alignment.tsv",
        "link",
        "link/*",
        "-*",
    ]
    return Case(argv, "flags", stated)
