"""Odd names, and things in folders that are no plain photos."""

# ruff: noqa: E501 - the tables of odd values
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

NAMES = (
    "a.jpg", "b c.jpg", "-x.jpg", "--output.jpg", "😀.jpg", "Zoe\u0308.jpg", "Zo\u00eb.jpg", "new\nline.jpg", "tab\t.jpg",
    "\udcff\udcfe.jpg", "quote\".jpg", "it's.jpg", "comma,.jpg", "semi;.jpg", "back\\slash.jpg", "#hash.jpg", "%41.jpg",
    "[1].jpg", "*.jpg", "?.jpg", "$HOME.jpg", "~.jpg", "n" * 240 + ".jpg", " lead.jpg", "trail .jpg", "dots...jpg", "UP.JPG",
    "nosuffix", "\x1b[31mred.jpg", "[red]x[/red].jpg", "{a,b}.jpg", "a.jpg.jpg", "con.jpg", "\u202egpj.jpg", "0", "한글.jpg",
)  # fmt: skip


def odd_name(random: Random, suffix: str = ".jpg") -> str:
    """A name for a photo that is hard to carry through lists, tables and terminals."""
    name = random.choice(NAMES)
    return name[: -len(".jpg")] + suffix if name.endswith(".jpg") else name


def plant(random: Random, folder: Path) -> tuple[str, str]:
    """Put something into a folder that is no plain photo; gives its name and what it is."""
    kind = random.choice(
        (
            "fifo",
            "dangling",
            "loop",
            "device",
            "folder",
            "outside",
            "locked",
            "locked folder",
            "socket",
            "hidden",
            "sibling",
        )
    )
    name = f"odd-{kind.replace(' ', '-')}.jpg"
    path = folder / name
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to("not-there.jpg")
    elif kind == "loop":
        path.symlink_to(name)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "outside":
        path.symlink_to("../../beside/kept.txt")
    elif kind == "locked":
        path.write_bytes(b"x" * 100)
        path.chmod(0)
    elif kind == "locked folder":
        path.mkdir()
        (path / "inside.jpg").write_bytes(b"x")
        path.chmod(0)
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as opened:
            here = os.open(folder, os.O_RDONLY)
            try:
                opened.bind(f"/proc/self/fd/{here}/{name}")
            finally:
                os.close(here)
    elif kind == "hidden":
        name = "._a.jpg"  # macOS writes these beside every file
        (folder / name).write_bytes(b"\0\x05\x16\x07" + b"\0" * 100)
    else:
        name = "loop"
        (folder / name).symlink_to(".")
    return name, kind


def pick(random: Random, options: Sequence[Any], chance: float) -> list[Any]:
    """Each of the options with a chance."""
    return [option for option in options if random.random() < chance]
