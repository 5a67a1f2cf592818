"""Two folders of people, the gallery and the probes; or one, and a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols.protocol import SearchProtocol
from facerec_cli.protocols.protocol_format import ProtocolFormat
from facerec_cli.protocols.sides import find_sides, is_list_of_photos, read_sides


class PeopleFolders(ProtocolFormat):
    """A subfolder a person in both, of the same name where the person is the same.

    Photos of the probes that lie in no subfolder, or in one named ``unknown``, show nobody of the gallery. A
    subfolder ``distractors`` of the gallery has people who are nobody's mates. One of the two may be a list,
    as in ``csv``.
    """

    description = "two folders, the gallery and the probes, with a subfolder a person; or one and a list"
    inputs = 2

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether one is a folder, and the other a folder or a list."""
        is_folder = [head.is_folder for head in heads]
        return any(is_folder) and all(head.is_folder or is_list_of_photos(head) for head in heads)

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Take what is below a folder; the first level says who it is."""
        return read_sides(paths)

    def find(
        self, protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
    ) -> tuple[Path | bytes, ...]:
        """Find the photos of a list; those of a folder are there."""
        return find_sides(protocol, paths, root)
