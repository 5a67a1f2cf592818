"""What a gallery knows of a person and of a face."""

from __future__ import annotations

import datetime
import os
import re
import unicodedata
from dataclasses import dataclass

from facerec_cli.errors import InputError
from facerec_cli.protocols.people import NOBODY

SHA256 = re.compile("[0-9a-f]{64}")
_LONGEST = 200  # signs of a name


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is enrolled.

    Attributes:
        id: A number that is never given to anybody else.
        name: What they are called, each once in a gallery.
        faces: How many faces are enrolled; 1 or more.
        created: When they were enrolled, UTC.
        expires: The date from which on they are not searched for any more, ``YYYY-MM-DD``; "" for never.
        note: What the user wrote, e.g. where the consent is kept.
    """

    id: int
    name: str
    faces: int
    created: str
    expires: str = ""
    note: str = ""

    @property
    def expired(self) -> bool:
        """Whether that date has come."""
        return bool(self.expires) and self.expires <= today()


@dataclass(frozen=True, slots=True)
class FaceFacts:
    """What is known of a face besides its vector; all of it may be unknown.

    Attributes:
        path: The photo, as an absolute path where it is a file.
        photo_sha256: Of the photo's bytes, in hexadecimal.
        box: x1, y1, x2, y2 in pixels of the upright photo.
        landmarks: x, y of eyes, nose and corners of the mouth, left as seen: ten numbers.
        score: Of the detection, 0 to 1.
        norm: Length of the raw embedding.
        crop: The aligned crop as an encoded PNG or JPEG; b"" for none.
    """

    path: str = ""
    photo_sha256: str = ""
    box: tuple[float, ...] | None = None
    landmarks: tuple[float, ...] | None = None
    score: float | None = None
    norm: float | None = None
    crop: bytes = b""


@dataclass(frozen=True, slots=True)
class GalleryFace:
    """A face that is enrolled; see :class:`FaceFacts` for what is not told here.

    Attributes:
        id: A number that is never given to another face.
        person: The ``id`` of the person.
        row: Where its vector is.
        crop: File name of the aligned crop in the gallery's ``crops/``; "" where there is none.
        added: When, UTC.
    """

    id: int
    person: int
    path: str
    photo_sha256: str
    box: tuple[float, ...] | None
    landmarks: tuple[float, ...] | None
    score: float | None
    norm: float | None
    row: int
    crop: str
    added: str


def plain(text: str) -> str:
    """A text that can be stored: what is no Unicode in it, as in odd arguments, is a question mark."""
    return text.encode(errors="replace").decode()


def is_nobody(name: str) -> bool:
    """Whether a name is one by which lists and folders say that a photo shows nobody of a gallery."""
    return name.strip().lower() in NOBODY - {""}


def person_name(name: str, *, new: bool = True) -> str:
    """A name as it is stored: without blanks around it, in the composed form of Unicode.

    Args:
        name: As it was written.
        new: Whether somebody is to be called so. Else somebody of an older gallery is asked for, who may have
            a name that is not given any more.

    Raises:
        InputError: It is empty, longer than 200 signs, or has signs that cannot be shown; or somebody is to
            be called ``unknown`` or like an option, or by dots alone.
    """
    plain = unicodedata.normalize("NFC", name).strip()
    fault = ""
    if not plain:
        fault = "it is empty"
    elif len(plain) > _LONGEST:
        fault = f"it has {len(plain):,} signs, and a name has at most {_LONGEST}"
    elif any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in plain):
        fault = "it has signs that cannot be shown"
    elif new and is_nobody(plain):
        fault = "in answers and lists it means nobody"
    elif new and (plain.startswith("-") or not plain.strip(".")):
        fault = "a name neither begins with - nor has dots alone"
    if fault:
        raise InputError(f"{name[:60]!r} cannot be the name of a person: {fault}.", hint="Choose another.")
    return plain


def expiry_date(text: str) -> str:
    """A date ``YYYY-MM-DD``, or "".

    Raises:
        InputError: It is none.
    """
    if text:
        try:
            return datetime.date.fromisoformat(text).isoformat()
        except ValueError:
            raise InputError(f"{text!r} is no date.", hint="Write it as 2027-12-31.") from None
    return ""


def today() -> str:
    """The date, UTC, as it is stored."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def stored_text(text: str) -> str | bytes:
    """A path as SQLite can hold it: one that is not UTF-8, as its bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def read_text(stored: str | bytes) -> str:
    """The reverse of :func:`stored_text`."""
    return os.fsdecode(stored) if isinstance(stored, bytes) else stored
