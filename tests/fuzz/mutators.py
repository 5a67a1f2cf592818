"""Damage: to bytes, to text, to documents, to names and to folders.

Every function takes the ``random.Random`` of its case first and changes nothing but what it returns (those for
folders change the sandbox). ``damage`` and its kin draw one kind of damage and say which.
"""

# ruff: noqa: E501 - the tables of odd values
from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

Bytes = Callable[[Random, bytes], bytes]
Text = Callable[[Random, str], str]

# --- bytes ------------------------------------------------------------------------------------------------


def flip_bits(random: Random, data: bytes) -> bytes:
    """One to sixteen bits, often near the head, where lengths and types are."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if changed:
            limit = min(len(changed), 256) if random.random() < 0.5 else len(changed)
            changed[random.randrange(limit)] ^= 1 << random.randrange(8)
    return bytes(changed)


def truncate(random: Random, data: bytes) -> bytes:
    """Cut the end off, anywhere or by a few bytes."""
    return data[: random.randrange(len(data) + 1)] if random.random() < 0.7 else data[: -random.randint(1, 8)]


def empty(random: Random, data: bytes) -> bytes:
    """Nothing left."""
    return b""


def append(random: Random, data: bytes) -> bytes:
    """Bytes after the end."""
    return data + random.choice((b"\0" * 100, random.randbytes(50), data, b"\n", b"\xff\xd9"))


def prepend(random: Random, data: bytes) -> bytes:
    """Bytes before the beginning."""
    return (
        random.choice((b"\0", b"\n", b"\xef\xbb\xbf", random.randbytes(16), b"HTTP/1.1 200 OK\r\n\r\n"))
        + data
    )


def cut_out(random: Random, data: bytes) -> bytes:
    """A piece is missing."""
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.choice((1, 2, 16, 512, 1000)) :]


def repeat_piece(random: Random, data: bytes) -> bytes:
    """A piece is there several times."""
    start = random.randrange(len(data) + 1)
    piece = data[start : start + random.choice((1, 4, 64, 1000))]
    return data[:start] + piece * random.choice((2, 3, 50)) + data[start:]


def blank_piece(random: Random, data: bytes) -> bytes:
    """A piece is zeros, as a bad disk leaves it."""
    start, size = random.randrange(len(data) + 1), random.choice((1, 4, 64, 512))
    return data[:start] + b"\0" * len(data[start : start + size]) + data[start + size :]


def noise_piece(random: Random, data: bytes) -> bytes:
    """A piece is noise."""
    start, size = random.randrange(len(data) + 1), random.choice((4, 64, 512))
    return data[:start] + random.randbytes(len(data[start : start + size])) + data[start + size :]


def edit_number(random: Random, data: bytes) -> bytes:
    """A field of 2, 4 or 8 bytes gets a number that no length should have."""
    size = random.choice((2, 4, 4, 8))
    if len(data) < size:
        return data
    limit = min(len(data) - size, 512) if random.random() < 0.7 else len(data) - size
    start = random.randint(0, limit)
    bits = 8 * size
    number = random.choice(
        (0, 1, 2**bits - 1, 2 ** (bits - 1), 2 ** (bits - 1) - 1, 65_500, random.getrandbits(bits))
    )
    order = random.choice(("little", "big"))
    return data[:start] + (number % 2**bits).to_bytes(size, order) + data[start + size :]


def splice(random: Random, data: bytes) -> bytes:
    """The head of a file, then the tail of the same from another place."""
    a, b = random.randrange(len(data) + 1), random.randrange(len(data) + 1)
    return data[:a] + data[b:]


def line_ends(random: Random, data: bytes) -> bytes:
    """What a transfer as text does to a binary file."""
    return data.replace(b"\n", b"\r\n") if random.random() < 0.5 else data.replace(b"\r\n", b"\n")


def as_text(random: Random, data: bytes) -> bytes:
    """What a program does that takes bytes for text."""
    return (
        data.decode("utf-8", "replace").encode() if random.random() < 0.5 else data.decode("latin-1").encode()
    )


def something_else(random: Random, data: bytes) -> bytes:
    """Another kind of file under this name."""
    return random.choice(
        (
            b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
            b"PK\x03\x04" + b"\0" * 40,
            b"\x1f\x8b\x08\0" + random.randbytes(60),
            b"{}",
            b"\0" * 1000,
            random.randbytes(300),
            b"#!/bin/sh\nexit 1\n",
            b"SQLite format 3\0" + b"\0" * 84,
        )
    )


DAMAGE: tuple[Bytes, ...] = (
    flip_bits, flip_bits, flip_bits, truncate, truncate, empty, append, prepend, cut_out, repeat_piece, blank_piece,
    noise_piece, edit_number, edit_number, edit_number, splice, line_ends, as_text, something_else,
)  # fmt: skip


def damage(random: Random, data: bytes) -> tuple[bytes, str]:
    """One to three kinds of damage, and their names."""
    kinds = [random.choice(DAMAGE) for _ in range(random.choice((1, 1, 1, 2, 3)))]
    for kind in kinds:
        data = kind(random, data)
    return data, "+".join(kind.__name__ for kind in kinds)


def jpeg_sizes(random: Random, data: bytes) -> bytes:
    """A JPEG's height and width, which the decoder allocates by."""
    start = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    if start < 0:
        return data
    sides = struct.pack(">HH", *random.choices((0, 1, 65_500, 65_535, 13_000), k=2))
    return data[: start + 5] + sides + data[start + 9 :]


def many_scans(random: Random, data: bytes) -> bytes:
    """The last scan of a progressive JPEG a thousand times."""
    start, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:end] + data[start:end] * 1000 + data[end:] if 0 <= start < end else data


# --- text -------------------------------------------------------------------------------------------------

NUMBERS = (
    "0", "1", "-1", "2", "1e309", "-1e309", "nan", "NaN", "inf", "-inf", "1e-320", "9" * 25, "9" * 5000, "0x10", "1_000",
    "1,5", "٣", "½", "True", "", " ", "--", "1.0", "1e3", "2147483648", "9223372036854775808", "-0", "+1",
)  # fmt: skip


_MOST_TEXT = 5_000_000  # characters; enough to be slow where something is quadratic


def _on_line(change: Callable[[Random, str], str]) -> Text:
    def apply(random: Random, text: str) -> str:
        lines = text.split("\n")
        size = len(text)
        for _ in range(random.choice((1, 1, 2, len(lines)))):
            i = random.randrange(len(lines))
            size -= len(lines[i])
            lines[i] = change(random, lines[i])
            size += len(lines[i])
            if size > _MOST_TEXT:
                break
        return "\n".join(lines)

    return apply


def _drop_field(random: Random, line: str) -> str:
    fields = line.split()
    return " ".join(fields[:-1]) if random.random() < 0.5 else " ".join(fields[1:])


def _odd_number(random: Random, line: str) -> str:
    fields = line.split(" ") if " " in line else line.split("\t") if "\t" in line else line.split(",")
    between = " " if " " in line else "\t" if "\t" in line else ","
    i = random.randrange(len(fields))
    fields[i] = random.choice(NUMBERS)
    return between.join(fields)


def _odd_character(random: Random, line: str) -> str:
    i = random.randrange(len(line) + 1)
    extra = random.choice(
        (
            '"',
            "'",
            "\t",
            ",",
            ";",
            "\\",
            "\0",
            "\x1b[31m",
            "#",
            "%",
            "😀",
            "e\u0301",
            "\u2028",
            "\x85",
            "\udcff",
            "*",
            "~",
            "$HOME",
            "\x0c",
        )
    )
    return line[:i] + extra + line[i:]


drop_field = _on_line(_drop_field)
odd_number = _on_line(_odd_number)
odd_character = _on_line(_odd_character)
long_line = _on_line(
    lambda random, line: line * min(random.choice((50, 5000)), _MOST_TEXT // (len(line) + 1))
)
odd_path = _on_line(
    lambda random, line: (
        random.choice(
            (
                "../../../../etc/passwd",
                "/etc/hostname",
                "/",
                ".",
                "..",
                "~",
                "a/" * 3000,
                "C:\\photos\\a.jpg",
                "//a//b",
                "/dev/zero",
                "-o",
                "*",
                "http://127.0.0.1:9/a.jpg",
                "file:///etc/hostname",
            )
        )
        + line[len(line.split(" ")[0]) :]
    )
)


def separators(random: Random, text: str) -> str:
    """Another separator of fields, or a mix."""
    old = "\t" if "\t" in text else "," if "," in text else " "
    new = random.choice(("\t", ",", ";", " ", "  ", ", ", "|", ":"))
    return text.replace(old, new) if random.random() < 0.8 else text.replace(old, new, 3)


def heading(random: Random, text: str) -> str:
    """A line of names on top."""
    return (
        random.choice(
            (
                "path label",
                "path\tlabel",
                "image1,image2,same",
                "path,label",
                "file,template,media",
                "#path label",
                "id;name",
                "path,group",
                "# a comment",
                "[section]",
            )
        )
        + "\n"
        + text
    )


def quotes(random: Random, text: str) -> str:
    """Fields in quotes, some of which never end."""
    mark = random.choice("\"'")
    lines = [" ".join(f"{mark}{field}{mark}" for field in line.split()) for line in text.split("\n")]
    return "\n".join(lines) if random.random() < 0.7 else "\n".join(lines)[:-2]


def blank_lines(random: Random, text: str) -> str:
    """Lines without anything."""
    return text.replace("\n", random.choice(("\n\n", "\n \n", "\r\n", "\r", "\n\t\n\n")))


def no_end(random: Random, text: str) -> str:
    """No line break at the end, or many."""
    return text.rstrip("\n") if random.random() < 0.5 else text + "\n" * 20


def repeat_lines(random: Random, text: str) -> str:
    """A line several times."""
    lines = text.split("\n")
    i = random.randrange(len(lines))
    return "\n".join(lines[: i + 1] + [lines[i]] * random.choice((1, 3, 2000)) + lines[i + 1 :])


def drop_lines(random: Random, text: str) -> str:
    """Some lines are missing, or all but one."""
    lines = text.split("\n")
    kept = [line for line in lines if random.random() < 0.5]
    return "\n".join(kept) if random.random() < 0.7 else lines[random.randrange(len(lines))]


def shuffle_lines(random: Random, text: str) -> str:
    """Another order."""
    lines = text.split("\n")
    random.shuffle(lines)
    return "\n".join(lines)


def nothing(random: Random, text: str) -> str:
    """No text, or blanks."""
    return random.choice(("", " ", "\n", "\ufeff", "#", "\n\n\n"))


TEXT: tuple[Text, ...] = (
    drop_field, odd_number, odd_number, odd_character, odd_character, long_line, odd_path, separators, separators,
    heading, heading, quotes, blank_lines, no_end, repeat_lines, drop_lines, shuffle_lines, nothing,
)  # fmt: skip

ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "latin-1",
    "cp1252",
    "cp932",
    "gb18030",
)


def encode(random: Random, text: str, *, odd: float = 0.3) -> tuple[bytes, str]:
    """The text in UTF-8, or with the chance ``odd`` in another encoding; and which."""
    name = random.choice(ENCODINGS) if random.random() < odd else "utf-8"
    if name == "utf-8":
        return text.encode("utf-8", "surrogateescape"), name
    return text.encode(name, "replace"), name


def damage_text(random: Random, text: str) -> tuple[bytes, str]:
    """Damaged text as bytes: some kinds of damage, an encoding, at times damage to the bytes too; and what."""
    kinds = [random.choice(TEXT) for _ in range(random.choice((0, 1, 1, 1, 2, 3)))]
    for kind in kinds:
        text = kind(random, text)
    names = [next(name for name, value in globals().items() if value is kind) for kind in kinds]
    data, encoding = encode(random, text)
    if random.random() < 0.15:
        data, told = damage(random, data)
        names.append(told)
    return data, "+".join([*names, encoding])


# --- documents (JSON, TOML) -------------------------------------------------------------------------------

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "x", "../x", "/etc/hostname",
    "a" * 100_000, "😀", "\0", [], {}, [[]], [1, 2, 3], ["a"], {"a": 1}, "nan", "1", 0.5, -0.5,
)  # fmt: skip


def damage_document(random: Random, document: Any) -> Any:
    """A copy with values of another type or size, keys that are missing, new or odd."""
    changed = json.loads(json.dumps(document))
    for _ in range(random.choice((1, 1, 2, 4))):
        places = list(_places(changed))
        if not places:
            return random.choice(_VALUES)
        holder, key = random.choice(places)
        action = random.random()
        if action < 0.6 or isinstance(holder, list):
            holder[key] = random.choice(_VALUES)
        elif action < 0.8:
            del holder[key]
        else:
            holder[random.choice((f"{key}x", "", "__class__", "a.b", "ключ", "colour", "\n"))] = (
                random.choice(_VALUES)
            )
    return changed


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def damage_json(random: Random, document: Any) -> tuple[bytes, str]:
    """A damaged JSON document, as bytes; and what was done."""
    kind = random.random()
    if kind < 0.1:
        return b"[" * random.choice((1000, 100_000)), "deep"
    if kind < 0.2:
        return b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "deep"
    text = json.dumps(damage_document(random, document) if kind < 0.7 else document)
    data, told = damage_text(random, text) if kind > 0.6 else (text.encode(), "values")
    return data, told


def damage_toml(random: Random, text: str) -> tuple[bytes, str]:
    """A damaged TOML document, as bytes; and what was done."""
    import tomllib

    import tomli_w

    kind = random.random()
    if kind < 0.06:
        return f"x = {'[' * 5000}{']' * 5000}\n{text}".encode(), "deep"
    if kind < 0.1:
        return (text + "[" + ".".join(["a"] * 3000) + "]\n").encode(), "deep tables"
    if kind < 0.65:
        document = damage_document(random, tomllib.loads(text))
        try:
            written = tomli_w.dumps(document if isinstance(document, dict) else {"x": document})
        except (TypeError, ValueError, AttributeError):  # None has no form in TOML
            written = text.replace(
                " = ", " = " + random.choice(("nan", "1979-05-27", "''", "[]", "{}", "inf")) + " # ", 3
            )
        return written.encode("utf-8", "surrogatepass"), "values"
    if kind < 0.75:
        lines = text.split("\n")
        lines.insert(random.randrange(len(lines)), random.choice(lines))
        return "\n".join(lines).encode(), "repeated key"
    return damage_text(random, text)


# --- names and folders ------------------------------------------------------------------------------------

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
