"""QMUL-SurvFace: faces of surveillance cameras, with probes of people who are not enrolled.

Source: Cheng, Zhu, Gong, "Surveillance face recognition challenge", 1804.09691 (2018).
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

_GALLERY, _MATED, _UNMATED = "gallery", "mated_probe", "unmated_probe"
_LISTS = {_GALLERY: "gallery_img_ID_pairs.mat", _MATED: "mated_probe_img_ID_pairs.mat"}
_BELOW, _BESIDE = ("Face_Identification_Test_Set",), "../Face_Identification_Evaluation"


class SurvFace(ProtocolFormat):
    """The folder ``Face_Identification_Test_Set``: ``gallery``, ``mated_probe`` and ``unmated_probe``.

    ``gallery_img_ID_pairs.mat`` and ``mated_probe_img_ID_pairs.mat`` say who is on the photos; without them
    the names do: ``17_cam2_4.jpg`` shows person 17.
    """

    description = (
        "QMUL-SurvFace's Face_Identification_Test_Set: gallery, mated_probe, unmated_probe, .mat lists"
    )

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether a folder has the folders or the lists, or the file is one of the lists."""
        is_its = heads[0].is_folder or heads[0].path.name in _LISTS.values()
        return is_its and _place(heads[0].path) is not None

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Read the lists where they are there, else the folders."""
        place = _place(paths[0])
        if place is None:
            raise InputError(
                f"{str(paths[0])!r} has no {_GALLERY} and {_MATED}.",
                hint="Name QMUL-SurvFace's folder Face_Identification_Test_Set.",
            )
        gallery, mated = (part_of_people(place / part, _list(place, part), part) for part in _LISTS)
        return protocol_of_parts(
            gallery=[gallery],
            probes=[mated, part_of_nobody(place / _UNMATED)],
            rule="Published as TPIR at rank 20 and FPIR 30, 20, 10 and 1 %.",
        )

    def folder(self, paths: Sequence[Path]) -> Path:
        """The folder ``Face_Identification_Test_Set``."""
        return _place(paths[0]) or folder_of(paths[0])

    def other_files(self, paths: Sequence[Path]) -> list[Path]:
        """The two lists."""
        place = self.folder(paths)
        return [file for part in _LISTS if (file := _list(place, part)) is not None]


def _place(path: Path) -> Path | None:
    folder = folder_of(path)
    return place_of(folder, (_GALLERY, _MATED, _UNMATED), _BELOW) or place_of(
        folder, tuple(_LISTS.values()), _BELOW
    )


def _list(place: Path, part: str) -> Path | None:
    files = (place / _LISTS[part], place / _BESIDE / _LISTS[part])
    return next((file for file in files if is_file(file)), None)
