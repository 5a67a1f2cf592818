"""Damage: to bytes, to text, to documents, to names and to folders.

Every function takes the ``random.Random`` of its case first and changes nothing but what it returns; only
``plant`` changes a folder. ``damage`` and its kin draw some kinds of damage and say which.
"""

from tests.fuzz.mutators.binary import damage, flip_bits, jpeg_sizes, many_scans, something_else
from tests.fuzz.mutators.documents import damage_json, damage_toml
from tests.fuzz.mutators.places import odd_name, pick, plant
from tests.fuzz.mutators.text import NUMBERS, damage_text

__all__ = [
    "NUMBERS",
    "damage",
    "damage_json",
    "damage_text",
    "damage_toml",
    "flip_bits",
    "jpeg_sizes",
    "many_scans",
    "odd_name",
    "pick",
    "plant",
    "something_else",
]
