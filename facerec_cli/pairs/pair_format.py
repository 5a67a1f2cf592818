"""What a format of pair lists is: how it is recognized, and how it is read."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from facerec_cli.errors import InputError
from facerec_cli.pairs.names import is_file, is_folder, is_there
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.text_rows import tidy
from facerec_cli.sniff import refuse_pointer
from facerec_cli.tables.rows import Row, read_rows
from facerec_cli.tables.text import encoding_of, split_lines

_HEAD_BYTES, _HEAD_LINES = 1 << 16, 200
_JSON = re.compile(r"[\ufeff\s]*(\{|\[\s*[\[{\"])")  # a list of names may begin with [1].jpg


class ListHead:
    """How a file begins that may be a list. It is opened when something of it is asked for.

    Attributes:
        path: The file, or a folder.
        is_folder: Which of the two.
        what: What it is asked to be, for messages.
        line: What a line of such a list is, for messages.
    """

    def __init__(
        self, path: Path, what: str = "pair list", line: str = "a pair a line, such as `a.jpg b.jpg 1`"
    ) -> None:
        self.path, self.is_folder = path, is_folder(path)
        self.what, self.line = what, line

    @cached_property
    def data(self) -> bytes:
        """Its first 64 KiB; nothing of a folder.

        Raises:
            InputError: It is empty, cannot be opened, or can be read only once.
        """
        name = str(self.path)
        if self.is_folder:
            return b""
        if is_there(self.path) and not is_file(self.path):
            raise InputError(
                f"{name!r} is a pipe or device, which can be read only once.",
                hint="Name the list's format with --format, or write the list to a file.",
            )
        try:
            with self.path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except OSError as error:
            raise InputError(
                f"The {self.what} {name!r} cannot be read: {error.strerror}.",
                hint="Name a list that you may read.",
            ) from error
        if not head.strip():
            raise InputError(f"The {self.what} {name!r} is empty.", hint=f"Write {self.line}.")
        refuse_pointer(head, repr(name))
        return head

    @cached_property
    def text(self) -> str:
        """The same as text; "" where it is none."""
        encoding = encoding_of(self.data)
        is_text = encoding is not None and not self.data.startswith(b"MATLAB 5.0")
        return self.data.decode(encoding, errors="replace") if is_text and encoding else ""

    @property
    def is_json(self) -> bool:
        """Whether it begins as JSON, which has no rows."""
        return _JSON.match(self.text) is not None

    @cached_property
    def rows(self) -> list[Row]:
        """Number and fields of its first lines, without comments and blank ones; none of what is no table.

        Raises:
            InputError: A quote is not closed.
        """
        return tidy(read_rows(self.lines, str(self.path)))

    @property
    def lines(self) -> list[str]:
        """Its first lines, as many as are whole; none of what is no table."""
        if not self.text or self.is_json:
            return []
        lines = split_lines(self.text)
        whole = lines if len(self.data) < _HEAD_BYTES else lines[:-1]
        return whole[:_HEAD_LINES]


class PairFormat(ABC):
    """A format of pair lists: one file in ``pairs/formats`` and one line in ``registry.PAIR_FORMATS``.

    A subclass is made without arguments. The formats are asked in the order of the registry whether a list is
    theirs, and the first that says so reads it.

    Attributes:
        description: What the list looks like, in a line.
        photo_patterns: How the path of a photo follows from its name in the list, most likely first:
            ``{stem}`` is the name as listed, ``{parent}`` its folder, ``{name}`` its last part.
    """

    description: ClassVar[str]
    photo_patterns: ClassVar[tuple[str, ...]] = ("{stem}",)

    @abstractmethod
    def recognizes(self, head: ListHead) -> bool:
        """Whether this is a list, or a folder, of the format."""

    @abstractmethod
    def read(self, path: Path) -> PairList:
        """Read the pairs. Images are bytes, or paths as the list has them: the caller finds the photos.

        Raises:
            InputError: The list is broken; the message has the line.
        """

    def folder(self, path: Path) -> Path:
        """The folder around which the photos of a list are looked for."""
        return path if is_folder(path) else path.parent

    def other_files(self, path: Path) -> list[Path]:
        """The files of a protocol that :meth:`read` opens besides ``path``; none where there is none."""
        return []
