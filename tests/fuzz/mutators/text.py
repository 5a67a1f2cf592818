"""Damage to text, and the encodings it is written in."""

# ruff: noqa: E501 - the tables of odd values
from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzz.mutators.binary import damage

Text = Callable[[Random, str], str]


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
