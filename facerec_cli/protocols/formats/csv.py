"""Two lists of photos and people: the gallery and the probes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols.protocol import SearchProtocol
from facerec_cli.protocols.protocol_format import ProtocolFormat
from facerec_cli.protocols.sides import find_sides, is_list_of_photos, read_sides


class PeopleLists(ProtocolFormat):
    """Lines ``path,person`` with any separator, with or without a heading, in two lists.

    A probe without a person, or of one who is called ``unknown``, shows nobody of the gallery. A person of
    the gallery who is called ``distractor`` is nobody's mate, and each such photo is a person of its own.
    """

    description = "two lists, the gallery and the probes, with lines `path,person`"
    inputs = 2

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether both are tables in which a column names photos."""
        return all(is_list_of_photos(head) for head in heads)

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Read both."""
        return read_sides(paths)

    def find(
        self, protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
    ) -> tuple[Path | bytes, ...]:
        """Find the photos of each list around that list."""
        return find_sides(protocol, paths, root)
