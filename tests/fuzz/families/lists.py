"""Lists of photos for ``embed``: files of paths, patterns, standard input."""

from __future__ import annotations

from random import Random

from tests.fuzz import mutators, seeds
from tests.fuzz.families.photos import TINY
from tests.fuzz.sandbox import Case, Sandbox


def photo_lists(random: Random, sandbox: Sandbox) -> Case:
    """A list of paths, damaged or in an odd but valid form."""
    names = []
    for i in range(random.randint(1, 5)):
        name = f"p/{i}.jpg" if random.random() < 0.7 else "p/" + mutators.odd_name(random)
        if name not in names:
            names.append(sandbox.write(name, seeds.jpeg(i)))
    lines = list(names)
    kind = random.random()
    if kind < 0.4:  # forms that mean the same
        plain = all(
            name.isascii() and name.isprintable() and not set(name) & set("\"'\\*?[") and name.strip() == name
            for name in names
        )
        lines = [name for name in names if "\n" not in name and name == name.strip()]
        form = random.choice(("plain", "crlf", "nul", "bom", "utf-16", "quoted", "absolute", "comment"))
        if form == "nul":
            lines = names
            data = b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in names)
        elif form == "utf-16":
            lines = [name for name in lines if "\udcff" not in name]
            data = "\r\n".join(lines).encode("utf-16")
        else:
            shown = [f'"{name}"' for name in lines] if form == "quoted" and plain else lines
            shown = [f"{sandbox.work}/{name}" for name in lines] if form == "absolute" else shown
            text = ("\r\n" if form == "crlf" else "\n").join(shown)
            data = text.encode("utf-8", "surrogateescape")
            data = b"\xef\xbb\xbf" + data if form == "bom" else data
        whole = plain and bool(lines)
        photos, told = (lines if plain else []), form
        if not lines:
            data, photos = b"", []
    else:
        data, told = mutators.damage_text(random, "\n".join(lines) + "\n")
        photos, whole = [], False
    argv = ["embed"]
    stdin = ""
    if random.random() < 0.25:
        argv.append("-")
        stdin = data.decode("latin-1")
        if random.random() < 0.1:
            stdin = seeds.jpeg(1).decode("latin-1")
            photos, whole, told = [], False, "a photo on standard input"
    else:
        name = random.choice(("l.txt", "l.lst", "l.list", "lists/l.txt"))
        if name.startswith("lists/"):
            photos, whole = photos, whole  # looked up beside the list, then in the current folder
        argv.append(sandbox.write(name, data))
        if random.random() < 0.1:
            argv.append(
                random.choice(
                    ("p", "p/*", "nosuch.jpg", "**/*.jpg", "[", "http://127.0.0.1:9/x.jpg", "file:///nosuch")
                )
            )
            whole = False
    argv += ["-o", "o.npy", "--threads", "1", *TINY, *mutators.pick(random, ("--json", "--quiet"), 0.3)]
    return Case(
        argv, told, ["o.npy", "o.csv", "o.json"], photos, "o.csv" if photos else "", whole=whole, stdin=stdin
    )
