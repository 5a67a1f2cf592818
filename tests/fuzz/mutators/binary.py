"""Damage to bytes."""

# ruff: noqa: E501 - the tables of odd values
from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

Bytes = Callable[[Random, bytes], bytes]


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
