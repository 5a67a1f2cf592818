"""IJB's templates in a search: what a photo weighs decides who stands first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec_cli.errors import UsageError
from facerec_cli.identify.evaluate import evaluate
from facerec_cli.identify.settings import IdentifySettings

#: Template 11 of a long and a short embedding, 12 near the probe, 21 the probe, 22 in nobody's direction.
RAW = np.float32([[10, 0], [0, 2], [4, 2], [1, 0], [0, -1]])


@pytest.mark.parametrize(("weighed", "rank"), [("mean", 2), ("norm", 1)])
def test_the_length_of_an_embedding_decides_who_is_first(tmp_path: Path, weighed: str, rank: int) -> None:
    for gallery, rows in {"G1": "11,1\n12,2\n", "G2": "12,2\n"}.items():
        (tmp_path / f"ijbc_1N_gallery_{gallery}.csv").write_text(f"TEMPLATE_ID,SUBJECT_ID\n{rows}")
    (tmp_path / "ijbc_1N_probe_mixed.csv").write_text("TEMPLATE_ID,SUBJECT_ID\n21,1\n22,2\n")
    (tmp_path / "ijbc_face_tid_mid.txt").write_text("a 11 1\nb 11 1\nc 12 2\nd 21 3\ne 22 4\n")
    np.save(tmp_path / "raw.npy", RAW)
    settings = IdentifySettings(embeddings=tmp_path / "raw.npy", pool=weighed)
    measured = evaluate([tmp_path], settings)
    # Mean of unit vectors: cosines 0.71 (mate) and 0.89; weighed by norms 0.98 and 0.89.
    assert measured.trials[0].search.outcomes.rank[0] == rank
    assert measured.embeddings.settings["pool"] == weighed


def test_pooling_is_for_templates_and_evaluations(tmp_path: Path) -> None:
    for name in ("g.csv", "p.csv"):
        (tmp_path / name).write_text("a.jpg,Ann\nb.jpg,Bob\n")
    np.save(tmp_path / "raw.npy", RAW[:4])
    with pytest.raises(UsageError, match="protocols of templates"):
        evaluate(
            [tmp_path / "g.csv", tmp_path / "p.csv"],
            IdentifySettings(embeddings=tmp_path / "raw.npy", pool="norm"),
            format="csv",
        )
