"""O1 to O3 from names: by hand on a few people, and the published numbers of people on LFW."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.protocols import SearchProtocol, read_protocol
from tests.protocols.made_up import lfw_open, photos


def files(protocol: SearchProtocol, items: np.ndarray) -> list[str]:
    return [Path(str(protocol.images[i])).stem for i in items]


def test_the_first_three_are_enrolled_and_the_trials_have_their_unknowns(tmp_path: Path) -> None:
    protocol = read_protocol(lfw_open(tmp_path), "lfw-open")
    o1, o2, o3 = protocol.trials
    assert [trial.name for trial in protocol.trials] == ["O1", "O2", "O3"]
    for trial in protocol.trials:
        assert files(protocol, trial.gallery) == [
            f"{n}_000{i}" for n in ("Ann_Lee", "Bob") for i in (1, 2, 3)
        ]
    known = ["Ann_Lee_0004", "Ann_Lee_0005", "Bob_0004"]
    known_unknown = ["Cy_0001", "Cy_0002", "Cy_0003", "Di_0001", "Di_0002"]
    assert files(protocol, o1.probes) == [*known, *known_unknown]
    assert files(protocol, o2.probes) == [*known, "Ed_0001"]
    assert files(protocol, o3.probes) == [*known, *known_unknown, "Ed_0001"]


def test_folders_above_and_flat_folders_are_read_alike(tmp_path: Path) -> None:
    (folder,) = lfw_open(tmp_path)
    below, above = read_protocol([folder], "lfw-open"), read_protocol([tmp_path], "lfw-open")
    assert below.people == above.people == ("Ann_Lee", "Bob", "Cy", "Di", "Ed")
    photos(tmp_path / "flat", *(path.name for path in folder.rglob("*.jpg")))
    flat = read_protocol([tmp_path / "flat"], "lfw-open")
    assert flat.people == below.people and flat.identity.tolist() == below.identity.tolist()
    assert [t.probes.tolist() for t in flat.trials] == [t.probes.tolist() for t in below.trials]


def test_what_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    photos(tmp_path, "few/ann/1.jpg", "few/ann/2.jpg", "few/ann/3.jpg", "odd/nobody.jpg")
    with pytest.raises(InputError, match="has more than 3 photos"):
        read_protocol([tmp_path / "few"], "lfw-open")
    with pytest.raises(InputError, match=r"nobody.jpg' does not say whom it shows"):
        read_protocol([tmp_path / "odd"], "lfw-open")


def test_the_people_of_lfw(lfw: Path) -> None:
    protocol = read_protocol([lfw], "lfw-open")
    o1, o2, o3 = protocol.trials

    def people(*items: np.ndarray) -> int:
        return len(np.unique(protocol.identity[np.concatenate(items)]))

    known = people(o1.gallery)
    assert (known, o1.gallery.size) == (610, 1_830)
    assert (people(o1.probes) - known, people(o2.probes) - known) == (1_070, 4_069)
    assert people(o3.probes) == 610 + 1_070 + 4_069 and o3.probes.size == 13_233 - 1_830
    for trial in protocol.trials:
        assert not np.intersect1d(trial.gallery, trial.probes).size
