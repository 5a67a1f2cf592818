"""MegaFace's features: whose photo a file is of, and headers that claim what is not there."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.embeddings.read import open_table
from facerec_cli.errors import InputError


def write_bin(path: Path, values: list[float], header: tuple[int, int, int, int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack("<4i", *(header or (len(values), 1, 4, 5)))
    path.write_bytes(head + struct.pack(f"<{len(values)}f", *values))


def test_features_are_of_the_photos_that_their_names_say(tmp_path: Path) -> None:
    write_bin(tmp_path / "facescrub/Ann/Ann_1.png_my_algo.bin", [3, 4])
    write_bin(tmp_path / "megaface/12/7@N01/0_0.jpg_my_algo.bin", [0, 2], (1, 2, 4, 5))
    write_bin(tmp_path / "megaface/12/7@N01/1_0.jpg_my_algo.bin", [0, 0])
    write_bin(tmp_path / "megaface/12/other.bin", [-1, 0])
    table = open_table(tmp_path)
    assert table.paths == ("facescrub/Ann/Ann_1.png", "megaface/12/other", "megaface/12/7@N01/0_0.jpg")
    np.testing.assert_allclose(table.vectors, [[0.6, 0.8], [-1, 0], [0, 1]], rtol=1e-6)
    assert table.norms.tolist() == [5, 1, 2]
    matched = table.match(["Ann/Ann_1.png", "12/7@N01/0_0.jpg", "12/7@N01/1_0.jpg", "12/7@N01/9_0.jpg"])
    assert matched.rows.tolist() == [0, 2, -1, -1]
    assert matched.reasons == {
        2: "no_face: its features are all zero",
        3: "missing: not in the embeddings file",
    }


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ((2, 1, 4, 6), "header is not"),
        ((2, 1, 8, 5), "header is not"),
        ((2_000_000_000, 1, 4, 5), "claims 2000000000 x 1"),
        ((-2, 1, 4, 5), "claims -2 x 1"),
        ((2, 2, 4, 5), "claims 2 x 2"),
        ((3, 1, 4, 5), "it has 24 bytes"),
        ((1, 1, 4, 5), "it has 24 bytes"),
    ],
)
def test_a_header_is_not_believed(tmp_path: Path, header: tuple[int, int, int, int], told: str) -> None:
    write_bin(tmp_path / "a.jpg_x.bin", [1, 2], header)
    with pytest.raises(InputError, match=f"a.jpg_x.bin' is no feature of MegaFace: .*{told}"):
        open_table(tmp_path)


def test_features_of_two_models_and_cut_ones_are_refused(tmp_path: Path) -> None:
    write_bin(tmp_path / "a.jpg_x.bin", [1, 2])
    write_bin(tmp_path / "b.jpg_x.bin", [1, 2, 3])
    with pytest.raises(InputError, match=r"b.jpg_x.bin' has 3 numbers, .*a.jpg_x.bin' 2"):
        open_table(tmp_path)
    (tmp_path / "b.jpg_x.bin").write_bytes(b"\0" * 7)
    with pytest.raises(InputError, match=r"b.jpg_x.bin' is no feature"):
        open_table(tmp_path)
    write_bin(tmp_path / "b.jpg_x.bin", [np.nan, 1])
    with pytest.raises(InputError, match="NaN"):
        open_table(tmp_path)
