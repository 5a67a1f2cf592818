"""TinyFace: small faces among 153,428 distractors, ranked over images.

Source: Cheng, Zhu, Gong, "Low-resolution face recognition", ACCV 2018 (1811.08965).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facerec_cli.errors import InputError
from facerec_cli.pairs.names import is_file
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols.parts import part_of_nobody, part_of_people, protocol_of_parts
from facerec_cli.protocols.photo_folders import place_of
from facerec_cli.protocols.protocol import SearchProtocol
from facerec_cli.protocols.protocol_format import ProtocolFormat, folder_of

_MATCH, _DISTRACTORS, _PROBES = "Gallery_Match", "Gallery_Distractor", "Probe"
_MATCH_LIST, _PROBE_LIST = "gallery_match_img_ID_pairs.mat", "probe_img_ID_pairs.mat"
_BELOW = ("Testing_Set", "tinyface/Testing_Set")


class TinyFace(ProtocolFormat):
    """The folder ``Testing_Set``: ``Gallery_Match``, ``Gallery_Distractor`` and ``Probe``, and the two lists.

    Without the lists, names say who is on the photos: ``17_3.jpg`` shows person 17.
    """

    description = "TinyFace's Testing_Set: Gallery_Match, Gallery_Distractor, Probe and two .mat lists"

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether a folder has the folders or the lists, or the file is one of the lists."""
        is_its = heads[0].is_folder or heads[0].path.name in (_MATCH_LIST, _PROBE_LIST)
        return is_its and _place(heads[0].path) is not None

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Read the lists where they are there, else the folders."""
        place = _place(paths[0])
        if place is None:
            raise InputError(
                f"{str(paths[0])!r} has no {_MATCH} and {_PROBES}.",
                hint="Name TinyFace's folder Testing_Set.",
            )
        return protocol_of_parts(
            gallery=[
                part_of_people(place / _MATCH, _list(place, _MATCH_LIST), "gallery"),
                part_of_nobody(place / _DISTRACTORS),
            ],
            probes=[part_of_people(place / _PROBES, _list(place, _PROBE_LIST), "probe")],
            rank="images",
            rule="Published as rank-1, 5, 20 and 50 and mAP over images, of which a probe has several mates.",
        )

    def folder(self, paths: Sequence[Path]) -> Path:
        """The folder ``Testing_Set``."""
        return _place(paths[0]) or folder_of(paths[0])

    def other_files(self, paths: Sequence[Path]) -> list[Path]:
        """The two lists."""
        place = self.folder(paths)
        return [place / name for name in (_MATCH_LIST, _PROBE_LIST) if is_file(place / name)]


def _place(path: Path) -> Path | None:
    folder = folder_of(path)
    return place_of(folder, (_MATCH, _PROBES), _BELOW) or place_of(folder, (_MATCH_LIST, _PROBE_LIST), _BELOW)


def _list(place: Path, name: str) -> Path | None:
    return place / name if is_file(place / name) else None
