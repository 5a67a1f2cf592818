"""Manifests of packs that can be pulled, one TOML file each; none of their weights is here."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import parse_manifest


@cache
def known_packs() -> dict[str, ModelPack]:
    """The manifests by name; their ``folder`` has no model files."""
    folder = Path(__file__).parent
    packs = [
        parse_manifest(path.read_text(encoding="utf-8"), folder, where=path.name)
        for path in sorted(folder.glob("*.toml"))
    ]
    return {pack.name: pack for pack in packs}
