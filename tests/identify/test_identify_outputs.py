"""Tables of results, the report, and what they may not be put in the place of."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from made_people import unit, write_embeddings

from facerec_cli.errors import OutputError, UsageError
from facerec_cli.identify.outputs import IdentifyOutputs, write_table
from facerec_cli.identify.report import page
from facerec_cli.identify.result import COLUMNS, Identification
from facerec_cli.identify.run import search_gallery
from facerec_cli.identify.settings import IdentifySettings


@pytest.fixture
def found(tmp_path: Path) -> Identification:
    corners = [
        (f"g/{name}/1.jpg", vector) for name, vector in zip(("A<b>nn", "Bob"), np.eye(3), strict=False)
    ]
    gallery = write_embeddings(tmp_path / "gallery.npy", corners)
    faces = [("a\rb.jpg", unit(1, 0, 0)), ("who.jpg", unit(0.1, 0, 1)), ("both.jpg", unit(1, 1, 0))]
    probes = write_embeddings(tmp_path / "probes.npy", faces)
    with probes.with_suffix(".csv").open("a") as table:
        table.write("none.jpg,,,no_face,no face was found\n")
    return search_gallery(gallery, [probes], IdentifySettings(threshold="0.7"))


def test_every_table_has_the_same_rows(tmp_path: Path, found: Identification) -> None:
    for suffix in (".csv", ".jsonl", ".parquet"):
        if suffix == ".parquet":
            pytest.importorskip("pyarrow")
        write_table(found, tmp_path / f"r{suffix}")
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and COLUMNS[:7] == (
        "path", "face", "status", "decision", "person", "score", "margin",
    )  # fmt: skip
    told = [[row[name] for name in ("path", "decision", "person")] for row in rows]
    assert told == [
        ["a\rb.jpg", "known", "A<b>nn"],
        ["who.jpg", "unknown", ""],
        ["both.jpg", "known", "A<b>nn"],
        ["none.jpg", "", ""],
    ]
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [[line[name] or "" for name in ("path", "decision", "person")] for line in lines] == told
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / "r.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert table.column("person").to_pylist() == ["A<b>nn", None, "A<b>nn", None]
    assert table.column("score").to_pylist()[0] == pytest.approx(1.0)


def test_results_are_replaced_and_files_of_others_are_not(tmp_path: Path, found: Identification) -> None:
    for name in ("r.csv", "r.jsonl", "r.parquet"):
        path = tmp_path / name
        path.write_text("mine\n")
        with pytest.raises(UsageError, match=r"--output .* exists and is no table of results"):
            IdentifyOutputs(output=path).refuse_faults([], overwrite=False)
        IdentifyOutputs(output=path).refuse_faults([], overwrite=True)
        write_table(found, path)
        IdentifyOutputs(output=path).refuse_faults([], overwrite=False)


@pytest.mark.parametrize(
    ("outputs", "fault"),
    [
        ({"output": "r.txt"}, "does not end in"),
        ({"output": "in.csv"}, "would overwrite an input"),
        ({"output": "r.csv", "report": "r.csv"}, "both write"),
        ({"output": "folder"}, "is a folder"),
        ({"copy_to": "in.csv"}, "would overwrite an input"),
        ({"copy_to": "file"}, "is a file"),
        ({"copy_to": "gallery/people"}, "lies in the gallery"),
    ],
)
def test_outputs_in_the_way_are_refused(tmp_path: Path, outputs: dict[str, str], fault: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "gallery").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "in.csv").write_text("")
    named = IdentifyOutputs(**{name: tmp_path / path for name, path in outputs.items()})
    with pytest.raises(UsageError, match=fault):
        named.refuse_faults([tmp_path / "gallery", tmp_path / "in.csv"], overwrite=False)


def test_an_output_below_a_file_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is not a folder"):
        IdentifyOutputs(output=tmp_path / "file" / "r.csv").refuse_faults([], overwrite=False)


def test_links_are_for_sorted_photos() -> None:
    with pytest.raises(UsageError, match="--link is for --copy-to"):
        IdentifyOutputs(link="hard")


def test_the_report_shows_each_face_once_and_escapes_names(found: Identification) -> None:
    html = page(found)
    assert html.count('<figure class="search') == 3
    assert "A&lt;b&gt;nn" in html and "A<b>nn" not in html
    assert "<h2>Known (1)</h2>" in html and "<h2>Unknown (1)</h2>" in html
    assert "Two people reach the threshold (1)" in html
    assert "no face: no face was found" in html
    assert "http" not in html.split("<body>")[1]


def test_a_report_of_candidates_makes_no_claim(tmp_path: Path, found: Identification) -> None:
    found = search_gallery(
        tmp_path / "gallery.npy", [tmp_path / "probes.npy"], IdentifySettings(mode="investigate")
    )
    html = page(found)
    assert "Nobody is claimed to be any of them" in html
    assert "known" not in html.split("<body>")[1].lower().replace("unknown</b> <code>", "")
