"""The user's registry: one folder a pack under ``home()/packs``, and no index that could disagree with it."""

from __future__ import annotations

from facerec_cli.packs.bare import PackOverrides
from facerec_cli.packs.places import home
from facerec_cli.packs.resolve import open_pack, pack_hash

__all__ = ["PackOverrides", "home", "open_pack", "pack_hash"]
