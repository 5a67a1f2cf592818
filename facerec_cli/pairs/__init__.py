"""Lists of labeled pairs: one type, its readers, and the photos that a list names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.lazy import lazy_names

if TYPE_CHECKING:
    from facerec_cli.pairs.pairlist import PairList
    from facerec_cli.pairs.read import read_pairs

__all__ = ["PairList", "read_pairs"]

__getattr__ = lazy_names(
    __name__, {"PairList": "facerec_cli.pairs.pairlist", "read_pairs": "facerec_cli.pairs.read"}
)
