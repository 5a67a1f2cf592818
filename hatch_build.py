"""What the package's page on an index shows: the README, without links that lead nowhere there.

Its links to pages, pictures and files are relative to the repository. An index has none of them, and the
project has no public address to complete them with. The words stay; the pages are in the source distribution.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_ELSEWHERE = r"(?!https?:|mailto:)"
_NOTE = "\n\nThe pages that this text speaks of are in `docs/` of the source distribution.\n"


def for_an_index(text: str) -> str:
    """The README with relative pictures left out, and relative links as plain words."""
    text = re.sub(rf"^!\[[^\]]*\]\({_ELSEWHERE}[^)]*\)\n\n?", "", text, flags=re.M)
    text = re.sub(rf"\[([^\]]+)\]\({_ELSEWHERE}[^)]*\)", r"\1", text)
    return text.rstrip() + _NOTE


class ReadmeHook(MetadataHookInterface):
    """Puts that text into the metadata of wheel and source distribution."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme``, which pyproject.toml declares as dynamic."""
        text = for_an_index((Path(self.root) / "README.md").read_text(encoding="utf-8"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
