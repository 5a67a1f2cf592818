"""BLUFR's lists: trials, indices that fit the names, and the published lists themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli.errors import InputError
from facerec_cli.protocols import read_protocol

FILES = ("Ann_Lee_0001.jpg", "Ann_Lee_0002.jpg", "Bob_0001.jpg", "Cy_0001.jpg")


def write_blufr(folder: Path) -> Path:
    lists = folder / "lists"
    lists.mkdir()
    (lists / "image_list.txt").write_text("\n".join(FILES))
    (lists / "labels.txt").write_text("7\n7\n9\n4\n")
    (lists / "gallery_set.txt").write_text(
        "2\n1\n1, Ann_Lee_0001.jpg\n2\n2, Ann_Lee_0002.jpg\n3, Bob_0001.jpg\n"
    )
    (lists / "probe_set.txt").write_text("2\n2\n2, Ann_Lee_0002.jpg\n3, Bob_0001.jpg\n1\n4, Cy_0001.jpg\n")
    (lists / "test_set.txt").write_text(
        "2\n3\n1, Ann_Lee_0001.jpg\n2, Ann_Lee_0002.jpg\n3, Bob_0001.jpg\n"
        "3\n2, Ann_Lee_0002.jpg\n3, Bob_0001.jpg\n4, Cy_0001.jpg\n"
    )
    return lists


def test_trials_people_and_all_pairs_of_the_test_set(tmp_path: Path) -> None:
    protocol = read_protocol([write_blufr(tmp_path)], images=False)
    assert (protocol.format, protocol.people) == ("blufr", ("Ann_Lee", "Bob", "Cy"))
    assert protocol.names[0] == "Ann_Lee/Ann_Lee_0001.jpg"
    assert protocol.identity.tolist() == [0, 0, 1, 2]
    parts = [
        (t.name, t.gallery.tolist(), t.probes.tolist(), t.verification.tolist()) for t in protocol.trials
    ]
    assert parts == [("trial 1", [0], [1, 2], [0, 1, 2]), ("trial 2", [1, 2], [3], [1, 2, 3])]


@pytest.mark.parametrize("below", ["images", "."])
def test_photos_are_found_below_the_root_or_its_images(tmp_path: Path, below: str) -> None:
    lists = write_blufr(tmp_path)
    photo = tmp_path / "lfw" / below / "Bob" / "Bob_0001.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"a photo")
    protocol = read_protocol([lists / "probe_set.txt"], root=tmp_path / "lfw")
    assert protocol.images[2] == photo and not Path(str(protocol.images[0])).exists()


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("probe_set.txt", "3, Bob_", "4, Bob_", "probe_set.txt', line 4: 'Bob_0001.jpg' is not"),
        ("probe_set.txt", "3, Bob_", "5, Bob_", "line 4: .* is not `index, file`"),
        ("probe_set.txt", "2\n2\n", "2\nx\n", "line 2: 'x' is not the number of photos"),
        ("gallery_set.txt", "3, Bob_0001.jpg\n", "", "line 4: a trial of 2 photos is cut short"),
        ("gallery_set.txt", "2\n1\n", "3\n1\n", "announces 3 trials and has 2"),
        ("labels.txt", "9\n", "", "3 labels for the 4 photos"),
        ("labels.txt", "9\n", "-\n", "line 3: '-' is not the number of a person"),
    ],
)  # fmt: skip
def test_lists_that_contradict_each_other_are_refused_with_the_line(
    tmp_path: Path, file: str, old: str, new: str, told: str
) -> None:
    path = write_blufr(tmp_path) / file
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=told):
        read_protocol([path.parent], images=False)


def test_the_published_lists_and_all_their_photos_of_lfw(shared: Path) -> None:
    folder = shared / "protocols" / "blufr"
    if not folder.is_dir() or not (shared / "lfw" / "images").is_dir():
        pytest.skip("needs ../shared/protocols/blufr and ../shared/lfw")
    protocol = read_protocol([folder], root=shared / "lfw")
    assert (len(protocol.images), len(protocol.people), len(protocol.trials)) == (13_233, 5_749, 10)
    assert all(Path(str(image)).is_file() for image in protocol.images[::97])
    # Named as in LFW: the number of the person agrees with the name.
    assert all(
        protocol.people[i] == name.partition("/")[0]
        for i, name in zip(protocol.identity, protocol.names, strict=True)
    )
    for trial in protocol.trials:
        gallery = set(protocol.identity[trial.gallery].tolist())
        assert trial.gallery.size == len(gallery) == 1_000
        assert set(trial.verification.tolist()) == {*trial.gallery.tolist(), *trial.probes.tolist()}
        assert not set(trial.gallery.tolist()) & set(trial.probes.tolist())
        mated = sum(person in gallery for person in protocol.identity[trial.probes].tolist())
        assert 0 < mated < trial.probes.size
    pairs = sum(trial.verification.size * (trial.verification.size - 1) // 2 for trial in protocol.trials)
    assert pairs == 471_604_805  # 47.16 million a trial
