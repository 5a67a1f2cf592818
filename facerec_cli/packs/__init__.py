"""Model packs: what a manifest says, where packs live, and how a ``--model`` value becomes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.lazy import lazy_names

if TYPE_CHECKING:
    from facerec_cli.packs.resolve import open_pack, pack_hash

__all__ = ["open_pack", "pack_hash"]

__getattr__ = lazy_names(__name__, dict.fromkeys(("open_pack", "pack_hash"), "facerec_cli.packs.resolve"))
