"""The text of a list or table: its encoding and its lines, whatever program wrote it.

==================== ========================================================================================
UTF-8                with a mark or without; bytes that are none keep themselves (``surrogateescape``), as
                     names of files may be any bytes
UTF-16, UTF-32       with a mark, as PowerShell and Notepad write them, or without one
lines                end at LF or CR LF, and at CR where there is no LF at all; nowhere else, because names
                     may hold form feeds and U+2028
separated by NULs    ``find -print0``; only :func:`list_lines` takes it
==================== ========================================================================================
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from facerec_cli.errors import InputError
from facerec_cli.sniff import refuse_as_list

_HEAD = 1 << 16  # bytes by which an encoding is known

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's mark does, so it is asked first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = re.compile(rb"[\x01-\x08\x0e-\x1a\x7f]")
"""What neither text nor the name of a file holds, but binary files do (ESC is in logs with colors)."""


def encoding_of(head: bytes) -> str | None:
    """The codec of a text from its first bytes; None where they are no text.

    A text of names separated by NULs is none either; see :func:`is_nul_separated`.
    """
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return codec
    if b"\0" not in head:
        return "utf-8-sig"
    clear = _wide_encoding(head)
    if clear is not None or is_nul_separated(head):
        return clear
    if head.count(b"\0") < head.count(b"\n") and not _CONTROLS.search(head):
        return "utf-8-sig"  # a stray NUL in a line or two is that line's fault
    return _printable_utf16(head)


def is_nul_separated(data: bytes) -> bool:
    """Whether these are names as ``find -print0`` writes them, and neither UTF-16 nor a binary file."""
    if b"\0" not in data or _wide_encoding(data[:_HEAD]) is not None or _CONTROLS.search(data):
        return False
    body = data.rstrip(b"\r\n")
    nuls = body.count(b"\0")
    parts = body.removesuffix(b"\0").split(b"\0")
    separated = body.endswith(b"\0") or nuls > body.count(b"\n")
    return separated and all(parts) and _printable_utf16(data[:_HEAD]) is None


def read_text(path: Path, what: str, *, json: bool = False) -> str:
    """The whole text of a file.

    Args:
        path: The file.
        what: What it is, for messages: "pair list".
        json: Whether it is meant to be JSON, which is refused otherwise, as an answer of a failed download.

    Raises:
        InputError: It cannot be read, or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, what, error) from error
    return decode(data, path, what, json=json)


def decode(data: bytes, path: Path | str, what: str, *, json: bool = False) -> str:
    """The text of a file's bytes; see :func:`read_text`.

    Raises:
        InputError: They are no text.
    """
    if not (json and data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")):
        refuse_as_list(data[:_HEAD], repr(str(path)), what=what)
    codec = encoding_of(data[:_HEAD])
    if codec is None:
        raise _no_text(path, what)
    try:
        return data.decode(codec, "surrogateescape" if codec == "utf-8-sig" else "strict")
    except UnicodeDecodeError as error:
        raise _broken(path, what, codec, error) from error


def read_lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """(line number, line without its end) of a text, one at a time: for lists of millions of photos.

    Raises:
        InputError: It cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        refuse_as_list(head, repr(str(path)), what=what)
        codec = encoding_of(head)
        if codec is None:
            raise _no_text(path, what)
        utf8 = codec == "utf-8-sig"
        # A newline of one sign has the text cut there only; the CR of CR LF is taken off below.
        newline = "\n" if "\n" in head.decode(codec, "replace") or len(head) == _HEAD else "\r"
        with path.open(
            encoding=codec, errors="surrogateescape" if utf8 else "strict", newline=newline
        ) as text:
            for number, line in enumerate(text, 1):
                yield number, line.removesuffix(newline).removesuffix("\r")
    except OSError as error:
        raise _unreadable(path, what, error) from error
    except UnicodeDecodeError as error:
        raise _broken(path, what, codec or "", error) from error


def split_lines(text: str) -> list[str]:
    """The lines of a text, without their ends."""
    lines = [line.removesuffix("\r") for line in text.split("\n")] if "\n" in text else text.split("\r")
    return lines[:-1] if lines[-1] == "" else lines


def list_lines(data: bytes, what: str) -> list[str]:
    """The lines of a list of files, which may also be separated by NULs.

    Args:
        data: The list.
        what: What to call it in messages.

    Raises:
        InputError: It is no text.
    """
    refuse_as_list(data[:_HEAD], what, what="list of photos")
    if is_nul_separated(data):
        return [part.decode("utf-8", "surrogateescape") for part in data.split(b"\0") if part.strip()]
    codec = encoding_of(data[:_HEAD])
    if codec is None:
        raise InputError(
            f"{what} is a binary file and no list of photos.",
            hint="A list is text with one path a line, or paths that each end with a NUL (find -print0).",
        )
    errors = "surrogateescape" if codec == "utf-8-sig" else "replace"  # a row for what is cut short, too
    return split_lines(data.decode(codec, errors))


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, by where the zero bytes of Latin letters and line ends are.

    Names that end with NULs have one zero in six bytes or fewer ("1.jpg" and the NUL), texts with a slash,
    digits and a suffix in each path one in four or more, all of them at even or all at odd places.
    """
    share = [head[i::4].count(0) / max(1, len(head[i::4])) for i in range(4)]
    if min(share[2], share[3]) > 0.9 and share[0] < 0.5:
        return "utf-32-le"
    if min(share[0], share[1]) > 0.9 and share[3] < 0.5:
        return "utf-32-be"
    even, odd = (share[0] + share[2]) / 2, (share[1] + share[3]) / 2
    if odd >= _least(head, b"\n\0") and even <= odd / 4:
        return "utf-16-le"
    if even >= _least(head, b"\0\n") and odd <= even / 4:
        return "utf-16-be"
    return None


def _least(head: bytes, line_end: bytes) -> float:
    """The share of zeros that says UTF-16: more where no line ends, as names of folders ("./a") are short."""
    return 0.4 if line_end in head else 0.6


def _printable_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark and with few Latin letters: all its signs are assigned, and it has line ends."""
    for codec, line_end in (("utf-16-le", b"\n\0"), ("utf-16-be", b"\0\n")):
        at = head.find(line_end)
        if at < 0 or at % 2:
            continue
        try:
            text = head[: len(head) // 2 * 2].decode(codec)
        except UnicodeDecodeError:
            continue
        if all(
            sign in "\t\r\n" or unicodedata.category(sign) not in ("Cc", "Cn", "Co", "Cs") for sign in text
        ):
            return codec
    return None


def _unreadable(path: Path, what: str, error: OSError) -> InputError:
    return InputError(
        f"The {what} {str(path)!r} cannot be read: {error.strerror or error}.",
        hint="Name a file that you may read.",
    )


def _no_text(path: Path | str, what: str) -> InputError:
    return InputError(
        f"{str(path)!r} is a binary file and no {what}.", hint=f"A {what} is text, UTF-8 at best."
    )


def _broken(path: Path | str, what: str, codec: str, error: UnicodeDecodeError) -> InputError:
    name = codec.removesuffix("-le").removesuffix("-be").upper()
    return InputError(
        f"The {what} {str(path)!r} is not {name} text (byte {error.start}).", hint="Save it as UTF-8."
    )
