"""Small data sets of generated photos."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from facerec_cli.data.formats.synthetic import SyntheticDataset


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A folder per person: 5 people with 1, 2, 3, 4 and 6 photos; a name in Greek, one photo a PNG."""
    root = tmp_path / "people"
    source = SyntheticDataset(5, 6)
    for person, count in zip(("alice", "bob", "Ελένη", "d.v", "site/eve"), (1, 2, 3, 4, 6), strict=True):
        (root / person).mkdir(parents=True)
        for number in range(count):
            index = 6 * ("alice", "bob", "Ελένη", "d.v", "site/eve").index(person) + number
            suffix = ".png" if (person, number) == ("bob", 1) else ".jpg"
            data = cv2.imencode(suffix, source.image(index)[..., ::-1])[1].tobytes()
            (root / person / f"{number}.v1{suffix}").write_bytes(data)
    return root


@pytest.fixture(scope="session")
def write_tar() -> Callable[[Path, dict[str, bytes]], None]:
    """A function that writes a tar file of these members."""

    def write(path: Path, members: dict[str, bytes]) -> None:
        with tarfile.open(path, "w") as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

    return write
