"""The evaluation of a search: figures by hand, labels of embeddings, protocols, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_people import unit, write_embeddings

from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.identify.evaluate import evaluate, measure
from facerec_cli.identify.evaluation_report import evaluation_page
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.verify.photo_vectors import ModelInfo, PhotoVectors


def made(tmp_path: Path) -> tuple[Path, Path]:
    """Ann, Bob and Cat; two mated probes that are found, one that is not, and a stranger."""
    corners = [
        (f"g/{name}/1.jpg", vector) for name, vector in zip(("Ann", "Bob", "Cat"), np.eye(4), strict=False)
    ]
    gallery = write_embeddings(tmp_path / "gallery.npy", corners)
    probes = write_embeddings(
        tmp_path / "probes.npy",
        [
            ("p/Ann/2.jpg", unit(1, 0.1, 0, 0)),
            ("p/Bob/2.jpg", unit(0, 1, 0.5, 0)),
            ("p/Cat/2.jpg", unit(0.9, 0, 0.5, 0)),
            ("p/unknown/2.jpg", unit(0.3, 0, 0, 1)),
        ],
    )
    return gallery, probes


def test_embeddings_say_by_their_folders_who_they_show(tmp_path: Path) -> None:
    outcome = evaluate(made(tmp_path), IdentifySettings(fpir=(0.5,)))
    search = outcome.trials[0].search
    assert (search.counts.people, search.counts.mated, search.counts.non_mated) == (3, 3, 1)
    assert search.cmc[0].hits == 2 and search.cmc[1].hits == 3
    document = json.loads(json.dumps(outcome.document(), allow_nan=False))
    assert document["format"] == "embeddings" and document["people"] == 3
    assert document["trials"][0]["cmc"][0]["rate"] == pytest.approx(2 / 3)
    assert "pessimistic on ties" in document["trials"][0]["rule"]


def protocol_of(people: int, trials: int) -> tuple[SearchProtocol, PhotoVectors]:
    """Two photos of each of many people, half of whom are enrolled in each trial."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((people, 32))
    vectors = np.repeat(centers, 2, axis=0) + 0.9 * rng.standard_normal((2 * people, 32))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    identity = np.repeat(np.arange(people), 2)
    names = tuple(f"{who}/{at}.jpg" for who in range(people) for at in range(2))
    made = []
    for number in range(trials):
        some = np.sort(rng.permutation(people)[: people // 2])
        made.append(
            SearchTrial(f"trial {number + 1}", 2 * some, 2 * np.arange(people) + 1, np.arange(len(names)))
        )
    protocol = SearchProtocol(
        tuple(map(Path, names)), names, tuple(map(str, range(people))), identity, tuple(made), format="made"
    )
    return protocol, PhotoVectors(vectors, {}, ModelInfo("made", "d" * 64))


def test_figures_over_trials_are_mean_and_deviation_of_what_brute_force_finds() -> None:
    protocol, embeddings = protocol_of(400, 3)
    outcome = measure("made", protocol, embeddings, IdentifySettings(fpir=(0.05,)))
    tpir, verification = [], []
    for trial in protocol.trials:
        who = protocol.identity[trial.probes]
        scores = embeddings.vectors[trial.probes] @ embeddings.vectors[trial.gallery].T
        same = who[:, None] == protocol.identity[trial.gallery]
        mated = same.any(axis=1)
        best = np.where(same, -np.inf, scores).max(axis=1)
        stranger = np.sort(scores[~mated].max(axis=1))[::-1]
        allowed = stranger[int(0.05 * len(stranger))]  # the first that must not be let through
        mates = scores[same]
        tpir.append(((mates > best[mated]) & (mates > allowed)).mean())
        verification.append(outcome.trials[len(tpir) - 1].verification.pairs)
    figures = {(one.figure, one.at): one for one in outcome.figures()}
    found = figures["tpir", 0.05]
    assert found.mean == pytest.approx(np.mean(tpir)) and found.sd == pytest.approx(np.std(tpir, ddof=1))
    assert found.mean_less_sd == pytest.approx(np.mean(tpir) - np.std(tpir, ddof=1))
    assert {(pairs.genuine, pairs.impostor) for pairs in verification} == {(400, 800 * 799 // 2 - 400)}
    assert figures["tar", 0.1].mean is not None
    html = evaluation_page(outcome)
    assert html.count("<svg") == 3 and "Over 3 trials" in html and "TPIR at each FPIR (trial 3)" in html


def test_people_who_look_like_one_are_named() -> None:
    protocol, embeddings = protocol_of(400, 1)
    embeddings.vectors[600:602] = embeddings.vectors[100:102]
    outcome = measure("made", protocol, embeddings, IdentifySettings())
    assert [(a, b) for a, b, _ in outcome.alike] == [("50", "300")]
    assert outcome.alike[0][2] == pytest.approx(1.0)


def test_a_distractor_is_nobodys_mate() -> None:
    protocol, embeddings = protocol_of(60, 1)
    identity = protocol.identity.copy()
    identity[protocol.trials[0].gallery[:5]] = -1
    from dataclasses import replace

    search = (
        measure("made", replace(protocol, identity=identity), embeddings, IdentifySettings()).trials[0].search
    )
    assert search.counts.people == 30 and search.counts.mated == 25


def test_too_few_strangers_are_told_and_not_guessed() -> None:
    protocol, embeddings = protocol_of(60, 1)
    outcome = measure("made", protocol, embeddings, IdentifySettings(fpir=(0.001, 0.1)))
    few, enough = outcome.trials[0].search.tpir_at_fpir
    assert not few.measurable and few.tpir is None and "3,000" in few.reason
    assert enough.measurable and enough.tpir is not None


def test_inputs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    gallery, probes = made(tmp_path)
    with pytest.raises(UsageError, match="a gallery and probes, not 1"):
        evaluate([gallery])
    with pytest.raises(UsageError, match="--root is for protocols"):
        evaluate([gallery, probes], root=tmp_path)
    with pytest.raises(UsageError, match="claims and candidates alike"):
        evaluate([gallery, probes], IdentifySettings(mode="investigate"))
    other = write_embeddings(
        tmp_path / "o.npy", [("p/Ann/2.jpg", unit(1, 0, 0, 0))], model={"name": "o", "sha256": "e"}
    )
    with pytest.raises(ModelError, match="do not say that one model made them"):
        evaluate([gallery, other])
    with pytest.raises(InputError, match="There is no protocol"):
        evaluate([tmp_path / "none.csv", tmp_path / "no.csv"])


def test_lists_of_photos_are_read_from_stored_embeddings(tmp_path: Path) -> None:
    gallery, _ = made(tmp_path)
    (tmp_path / "g.csv").write_text("path,person\ng/Ann/1.jpg,Ann\ng/Bob/1.jpg,Bob\n")
    (tmp_path / "p.csv").write_text("path,person\ng/Cat/1.jpg,\ng/Dan/1.jpg,Ann\n")
    settings = IdentifySettings(embeddings=gallery, fpir=(0.5,))
    outcome = evaluate([tmp_path / "g.csv", tmp_path / "p.csv"], settings)
    counts = outcome.trials[0].search.counts
    assert (counts.people, counts.mated, counts.mated_failed, counts.non_mated) == (2, 1, 1, 1)
    assert outcome.document()["failures"] == {"g/Dan/1.jpg": "missing: not in the embeddings file"}


def test_figures_without_people_who_look_like_one_stand_beside_the_others() -> None:
    protocol, embeddings = protocol_of(400, 1)
    trial = protocol.trials[0]
    stranger = next(
        row for row in trial.probes if not np.isin(protocol.identity[row], protocol.identity[trial.gallery])
    )
    enrolled = trial.gallery[0]
    embeddings.vectors[stranger] = embeddings.vectors[stranger - 1] = embeddings.vectors[enrolled]
    embeddings.vectors[enrolled + 1] = embeddings.vectors[enrolled]
    outcome = measure("made", protocol, embeddings, IdentifySettings(fpir=(0.05,)))
    assert len(outcome.alike) == 1
    search, fewer = outcome.trials[0].search, outcome.without_alike[0]
    assert (search.counts.people, fewer.counts.people) == (200, 199)
    assert (search.counts.non_mated, fewer.counts.non_mated) == (200, 199)
    assert "without these people" in evaluation_page(outcome)
