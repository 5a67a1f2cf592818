"""Which group a photo is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli.metrics.groups import read_groups


def groups_of(folder: Path, table: str, names: list[str]) -> list[str | None]:
    (folder / "g.csv").write_text(table)
    numbers, groups = read_groups(folder / "g.csv", names)
    return [None if number < 0 else groups[number] for number in numbers]


@pytest.mark.parametrize("suffix", [".jpg", ""])
def test_a_person_with_a_number_is_not_another_s_photo(tmp_path, suffix):
    names = [f"1/1{suffix}", f"2/1{suffix}", f"2/2{suffix}", f"3/1{suffix}", f"x/3/2{suffix}"]
    table = "person,group\n1,A\n2,B\n"
    assert groups_of(tmp_path, table, names) == ["A", "B", "B", None, None]


def test_a_photo_s_own_entry_goes_before_its_person_s(tmp_path):
    table = "ann,A\nann/2.jpg,B\nbob/bob_0001,C\nq/x.jpg,D\nq/x.png,E\n"
    names = ["p/ann/1.jpg", "p/ann/2.jpg", "bob/bob_0001.png", "q/x.png", "q/x.jpg"]
    assert groups_of(tmp_path, table, names) == ["A", "B", "C", "E", "D"]


def test_entries_of_photos_fit_names_without_a_suffix_or_a_folder(tmp_path):
    table = "ann/ann_0001.jpg,A\nzoe_0001.jpg,B\nlone,C\n"
    names = ["ann/ann_0001", "zoe/zoe_0001", "lone.jpg"]
    assert groups_of(tmp_path, table, names) == ["A", "B", "C"]
