"""docs/catalogue.md says what the manifests say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from facerec_cli.packs.known import known_packs

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_catalogue_is_up_to_date_and_has_every_hash_address_and_source():
    page = (DOCS / "catalogue.md").read_text(encoding="utf-8")
    assert page == runpy.run_path(str(DOCS / "catalogue.py"))["render"](), "run: python docs/catalogue.py"
    for pack in known_packs().values():
        assert f"\n## {pack.name}\n" in page and pack.encoder.sha256 in page
        assert all(url in page for item in pack.downloads for url in item.urls)
        for _, said in pack.evidence.items():
            assert all(url in page for source in said for url in re.findall(r"https?://[^\s,;)]+", source))
