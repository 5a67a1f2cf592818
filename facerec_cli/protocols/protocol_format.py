"""What a format of search protocols is: how it is recognized, and how it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from facerec_cli.pairs.find_photos import find_listed
from facerec_cli.pairs.names import is_folder
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols.protocol import SearchProtocol


class ProtocolFormat(ABC):
    """A format of search protocols: one file in ``protocols/formats``, one line in ``PROTOCOL_FORMATS``.

    A subclass is made without arguments. The formats are asked in the order of the registry whether the
    inputs are theirs, and the first that says so reads them.

    Attributes:
        description: What the protocol looks like, in a line.
        photo_patterns: How the path of a photo follows from its name in the lists, most likely first:
            ``{stem}`` is the name as listed, ``{parent}`` its folder, ``{name}`` its last part.
        inputs: How many inputs it takes: 1, or 2 where the gallery and the probes are named one by one.
        recognized: False where nothing tells it from a plainer format, so that it has to be named.
    """

    description: ClassVar[str]
    photo_patterns: ClassVar[tuple[str, ...]] = ("{stem}",)
    inputs: ClassVar[int] = 1
    recognized: ClassVar[bool] = True

    @abstractmethod
    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether these are files or folders of the format; as many as ``inputs``."""

    @abstractmethod
    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Read the protocol. Images are bytes, or paths as the lists have them: :meth:`find` completes them.

        Raises:
            InputError: A list is broken; the message has the file and the line.
        """

    def find(
        self, protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
    ) -> tuple[Path | bytes, ...]:
        """The protocol's images with the paths under which they are there.

        Raises:
            InputError: None of them is there, or ``root`` is not.
        """
        return find_listed(protocol.images, self.photo_patterns, self.folder(paths), root)

    def folder(self, paths: Sequence[Path]) -> Path:
        """The folder around which the photos of the lists are looked for."""
        return folder_of(paths[0])

    def other_files(self, paths: Sequence[Path]) -> list[Path]:
        """The files that :meth:`read` opens besides ``paths``; none where there is none."""
        return []


def folder_of(path: Path) -> Path:
    """The folder of a protocol, which may be named by itself or by one of its files."""
    return path if is_folder(path) else path.parent
