"""Two lists: what people write as separators, headings and for nobody, and lists that cannot be meant."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from facerec_cli.errors import InputError
from facerec_cli.protocols import SearchProtocol, read_protocol
from facerec_cli.protocols.sides import read_probes
from tests.protocols.made_up import photos


def read(folder: Path, gallery: str, probes: str) -> SearchProtocol:
    (folder / "g.txt").write_text(gallery)
    (folder / "p.txt").write_text(probes)
    return read_protocol([folder / "g.txt", folder / "p.txt"], images=False)


def shown(protocol: SearchProtocol) -> tuple[list[str | None], list[str | None]]:
    """Who is on the photos of the gallery and of the probes; None for nobody."""
    people = [None if number < 0 else protocol.people[number] for number in protocol.identity]
    (trial,) = protocol.trials
    return [people[i] for i in trial.gallery], [people[i] for i in trial.probes]


@pytest.mark.parametrize(
    ("gallery", "probes"),
    [
        ("a.jpg,Ann\nb.jpg,Bob\n", "c.jpg,Ann\nd.jpg,\ne.jpg,Unknown\n"),
        ("a.jpg,Ann\nb.jpg,Bob\n", "c.jpg,Ann\nd.jpg\ne.jpg\n"),
        ("a.jpg,Ann\nb.jpg,Bob\n# end\n", "file,who is it\nc.jpg,Ann\nd.jpg\ne.jpg,none\n"),
        ("path;person\na.jpg;Ann\nb.jpg;Bob\n", "person;path\nAnn;c.jpg\n;d.jpg\n-1;e.jpg\n"),
        ("file\tage\tname\na.jpg\t3\tAnn\nb.jpg\t4\tBob\n", "c.jpg\tAnn\nd.jpg\tstranger\ne.jpg\tnone\n"),
        ('a.jpg Ann\n# of 2024\n\n"b.jpg" Bob\n', "Ann c.jpg\nunknown d.jpg\nunknown e.jpg\n"),
    ],
)
def test_separators_headings_and_nobody(tmp_path: Path, gallery: str, probes: str) -> None:
    protocol = read(tmp_path, gallery, probes)
    assert protocol.names == ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    assert shown(protocol) == (["Ann", "Bob"], ["Ann", None, None])


def test_probes_alone_are_strangers_and_distractors_nobodys_mates(tmp_path: Path) -> None:
    protocol = read(tmp_path, "a.jpg,Ann\nb.jpg,distractor\n", "c.jpg\nd.jpg\n")
    assert shown(protocol) == (["Ann", None], [None, None])


def test_people_who_are_searched_for_and_not_enrolled_have_names(tmp_path: Path) -> None:
    protocol = read(tmp_path, "a.jpg,Ann\n", "c.jpg,Cy\nd.jpg,Cy\n")
    assert shown(protocol) == (["Ann"], ["Cy", "Cy"]) and protocol.people == ("Ann", "Cy")


@pytest.mark.parametrize(
    ("gallery", "probes", "told"),
    [
        ("a.jpg,Ann\nb.jpg,\n", "c.jpg\n", "g.txt', line 2: the gallery does not say who"),
        ("a.jpg,Ann\nb.jpg,unknown\n", "c.jpg\n", "g.txt', line 2: the gallery does not say who"),
        ("a.jpg,Ann\n", "c.jpg,Ann,1,2\nd.jpg,Ann\n", "p.txt', line 1: .* is not `path,person`"),
        ("path,person\na.jpg,Ann\n,Bob\n", "c.jpg\n", "g.txt', line 3: .* is not `path,person`"),
        ("a.jpg,Ann\nb,Bob\n", "c.jpg\n", "g.txt', line 2: 'b Bob' is not `path,person`"),
        ("a.jpg,b.jpg\nc.jpg,d.jpg\n", "c.jpg\n", "g.txt', line 1: .* is not `path,person`"),
        ('a.jpg,Ann\n"b.jpg,Bob\n', "c.jpg\n", "g.txt', line 2: a quote is not closed"),
        ("path,person\n", "c.jpg\n", "nobody in its gallery"),
        (
            "path,age,who\na.jpg,3,Ann\n",
            "c.jpg\n",
            "line 1: .* is not a heading with columns `path` and `person`",
        ),
        ("age,person\n3,Ann\n", "c.jpg\n", "line 1: 'age person' is not `path,person`"),
        ("a.jpg,Ann\n", "path,person\n", "no probe"),
    ],
)
def test_lists_that_cannot_be_meant(tmp_path: Path, gallery: str, probes: str, told: str) -> None:
    (tmp_path / "g.txt").write_text(gallery)
    (tmp_path / "p.txt").write_text(probes)
    with pytest.raises(InputError, match=told):
        read_protocol([tmp_path / "g.txt", tmp_path / "p.txt"], "csv", images=False)


def test_each_list_has_its_photos_around_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos(tmp_path, "one/1.jpg", "two/1.jpg", "two/ann/2.jpg")
    (tmp_path / "one" / "g.csv").write_text("1.jpg,Ann\n")
    (tmp_path / "two" / "p.csv").write_text("1.jpg,Bob\nann/2.jpg,Ann\nann/9.jpg,Ann\n")
    inputs = [tmp_path / "one" / "g.csv", tmp_path / "two" / "p.csv"]
    with caplog.at_level(logging.WARNING):
        protocol = read_protocol(inputs)
    places = [Path(str(image)).relative_to(tmp_path).as_posix() for image in protocol.images]
    assert places == ["one/1.jpg", "two/1.jpg", "two/ann/2.jpg", "two/ann/9.jpg"]
    assert "searched for in it" not in caplog.text
    (tmp_path / "two" / "p.csv").write_text("../one/1.jpg,Ann\nann/2.jpg,Ann\n")
    with caplog.at_level(logging.WARNING):
        read_protocol(inputs)
    assert "searched for in it, which finds them in themselves: 1 photo, the first" in caplog.text


def test_a_photo_that_is_searched_for_in_itself_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "g.csv").write_text("1.jpg,Ann\n2.jpg,Bob\n")
    (tmp_path / "p.csv").write_text("3.jpg,Ann\n2.jpg,Bob\n1.jpg,Bob\n")
    with caplog.at_level(logging.WARNING):
        protocol = read_protocol([tmp_path / "g.csv", tmp_path / "p.csv"])
    assert "in the gallery and searched for in it, which finds them in themselves: 2 photos" in caplog.text
    assert f"listed as two people: 1 photo, the first {tmp_path / '1.jpg'}" in caplog.text
    assert protocol.trials[0].probes.size == 3


def test_a_heading_alone_has_no_probe(tmp_path: Path) -> None:
    photos(tmp_path, "Ann/1.jpg")
    gallery, probes = tmp_path / "g.csv", tmp_path / "p.csv"
    gallery.write_text("path,person\nAnn/1.jpg,Ann\n")
    probes.write_text("path,person\n")
    with pytest.raises(InputError, match=r"p.csv' has no probe"):
        read_protocol([gallery, probes])
    with pytest.raises(InputError, match=r"p.csv' has no probe"):
        read_probes(probes)


def test_probes_of_an_enrolled_gallery_are_read_as_those_of_a_list(tmp_path: Path) -> None:
    photos(tmp_path, "probes/Ann/1.jpg", "probes/unknown/1.jpg", "probes/2.jpg")
    (tmp_path / "p.csv").write_text("probes/Ann/1.jpg,Ann\nprobes/unknown/1.jpg\nprobes/2.jpg,unknown\n")
    assert read_probes(tmp_path / "p.csv")[2] == ("Ann", "", "")
    assert sorted(read_probes(tmp_path / "probes")[2]) == ["", "", "Ann"]
    assert all(image.is_file() for image in read_probes(tmp_path / "p.csv")[0])
