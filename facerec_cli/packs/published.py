"""What a manifest says of a pack's files at their publisher: where each is, and by whose words we know it."""

# Without `from __future__ import annotations`, as manifest.py.

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated

from facerec_cli.packs import rules
from facerec_cli.settings import Option, filled

MAX_FILE_BYTES = 2 << 30  # of one file; the largest known network has 1.02 GB

Sources = Annotated[tuple[str, ...], Option(rule=filled)]


@dataclass(frozen=True, slots=True)
class Download:
    """A file that its publisher has by itself, not in an archive.

    Attributes:
        file: The name of the pack's file that it is.
        urls: Where it is, best first.
        size: In bytes, where a public source states it; a longer file is refused. None: not known.
    """

    file: Annotated[str, Option(rule=rules.file_name)]
    urls: Annotated[tuple[str, ...], Option(rule=rules.address)]
    size: Annotated[int | None, Option(ge=1, le=MAX_FILE_BYTES)] = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Who says what the rest of the manifest says: repositories with file and commit, or addresses.

    Attributes:
        sha256: Who pins the files' sha256: the publisher, or two others independently of each other.
        license: Where the licenses of code and weights are stated.
        training_data: Where the data is named, and where its own terms are.
        preprocessing: Whose code feeds the network so.
    """

    sha256: Sources
    license: Sources
    training_data: Sources
    preprocessing: Sources

    def items(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What is said, in words, and who says it."""
        for field in fields(self):
            yield field.name.replace("_", " "), getattr(self, field.name)
