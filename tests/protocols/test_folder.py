"""Two folders of people: who is enrolled, who is nobody, and photos of whom nobody knows anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli.errors import InputError
from facerec_cli.protocols import read_protocol
from tests.protocols.made_up import photos


def test_the_first_subfolder_says_who_it_is(tmp_path: Path) -> None:
    photos(tmp_path / "g", "ann/1.jpg", "ann/old/2.png", "bob/1.jpg", "Distractors/x/1.jpg", "ann/notes.txt")
    photos(tmp_path / "p", "loose.jpg", "ann/3.jpg", "cy/1.jpg", "Unknown/new/1.jpg", ".hidden/1.jpg")
    protocol = read_protocol([tmp_path / "g", tmp_path / "p"])
    (trial,) = protocol.trials
    told = {
        Path(name).relative_to(tmp_path).as_posix(): protocol.people[number] if number >= 0 else None
        for name, number in zip(protocol.names, protocol.identity, strict=True)
    }
    assert told == {
        "g/Distractors/x/1.jpg": None,
        "g/ann/1.jpg": "ann",
        "g/ann/old/2.png": "ann",
        "g/bob/1.jpg": "bob",
        "p/Unknown/new/1.jpg": None,
        "p/ann/3.jpg": "ann",
        "p/cy/1.jpg": "cy",
        "p/loose.jpg": None,
    }
    assert trial.gallery.tolist() == [0, 1, 2, 3] and trial.probes.tolist() == [4, 5, 6, 7]


def test_a_loose_photo_of_the_gallery_and_empty_folders_are_refused(tmp_path: Path) -> None:
    photos(tmp_path, "g/ann/1.jpg", "g/loose.jpg", "p/ann/2.jpg", "file.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"loose.jpg': the gallery does not say who is on this photo"):
        read_protocol([tmp_path / "g", tmp_path / "p"])
    with pytest.raises(InputError, match=r"There is no photo in .*empty"):
        read_protocol([tmp_path / "p", tmp_path / "empty"])
    with pytest.raises(InputError, match="are not a gallery and probes"):
        read_protocol([tmp_path / "p", tmp_path / "file.jpg"])


def test_one_of_the_two_may_be_a_list(tmp_path: Path) -> None:
    photos(tmp_path, "people/ann/1.jpg", "people/bob/1.jpg", "new/2.jpg", "new/3.jpg")
    (tmp_path / "new" / "probes.csv").write_text("file,name\n2.jpg,ann\n3.jpg,\n")
    both = tmp_path / "people", tmp_path / "new" / "probes.csv"
    protocol = read_protocol(both)
    assert protocol.format == "folder" and protocol.identity.tolist() == [0, 1, 0, -1]
    assert [Path(str(image)).relative_to(tmp_path).as_posix() for image in protocol.images] == [
        "people/ann/1.jpg",
        "people/bob/1.jpg",
        "new/2.jpg",
        "new/3.jpg",
    ]
    (tmp_path / "new" / "probes.csv").write_text("2.jpg,ann\n3.jpg,cy\n")
    turned = read_protocol(both[::-1])
    assert turned.people == ("ann", "cy", "bob") and turned.identity.tolist() == [0, 1, 0, 2]
