"""Models that come and go: added, pulled, checked and removed, each of them run before it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.lazy import lazy_names

if TYPE_CHECKING:
    from facerec_cli.store.install import register, remove

__all__ = ["register", "remove"]

__getattr__ = lazy_names(__name__, dict.fromkeys(("register", "remove"), "facerec_cli.store.install"))
