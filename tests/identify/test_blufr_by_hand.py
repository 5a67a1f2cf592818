"""A protocol of BLUFR's form, its figures counted by a plain program: DIR and VR at FAR over trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.identify.evaluate import measure
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.verify.photo_vectors import PhotoVectors

PEOPLE = 40  # with five photos each


def test_the_figures_are_those_of_a_plain_program() -> None:
    random = np.random.default_rng(0)
    identity = np.repeat(np.arange(PEOPLE), 5)
    vectors = random.normal(size=(PEOPLE, 12))[identity] + random.normal(size=(len(identity), 12)) * 0.8
    vectors = np.float32(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    trials = []
    for number in range(3):
        order = random.permutation(PEOPLE)
        gallery = order[:15] * 5
        probes = np.concatenate(
            [order[:15] * 5 + 1, order[:15] * 5 + 2, *(order[15:35] * 5 + k for k in range(3))]
        )
        trials.append(SearchTrial(f"trial {number}", gallery, probes, np.concatenate([gallery, probes])))
    names = tuple(f"{at}.jpg" for at in range(len(identity)))
    protocol = SearchProtocol(
        tuple(map(Path, names)),
        names,
        tuple(map(str, range(PEOPLE))),
        identity,
        tuple(trials),
        format="blufr",
    )
    embeddings = PhotoVectors(vectors, {}, ModelInfo("made", "d" * 64))
    outcome = measure("made", protocol, embeddings, IdentifySettings(fpir=(0.1,), bootstrap=0))
    told = {(figure.figure, figure.at): figure for figure in outcome.figures()}
    plain: dict[tuple[str, float], list[float]] = {("cmc", 1): [], ("tpir", 0.1): [], ("tar", 0.01): []}
    for trial in trials:
        best_of_strangers, mates = [], []
        for probe in trial.probes:
            scores = [float(vectors[probe] @ vectors[item]) for item in trial.gallery]
            own = [
                s for s, item in zip(scores, trial.gallery, strict=True) if identity[item] == identity[probe]
            ]
            others = [
                s for s, item in zip(scores, trial.gallery, strict=True) if identity[item] != identity[probe]
            ]
            if own:
                mates.append((own[0], max(others)))
            else:
                best_of_strangers.append(max(scores))
        least = sorted(best_of_strangers, reverse=True)[int(0.1 * len(best_of_strangers))]
        plain["cmc", 1].append(float(np.mean([mate > other for mate, other in mates])))
        plain["tpir", 0.1].append(float(np.mean([mate > other and mate > least for mate, other in mates])))
        genuine, impostor = [], []
        for at, one in enumerate(trial.verification):
            for other in trial.verification[at + 1 :]:
                kind = genuine if identity[one] == identity[other] else impostor
                kind.append(float(vectors[one] @ vectors[other]))
        rejected = sorted(impostor, reverse=True)[int(0.01 * len(impostor))]
        plain["tar", 0.01].append(float(np.mean([score > rejected for score in genuine])))
    for key, values in plain.items():
        assert told[key].mean == pytest.approx(np.mean(values))
        assert told[key].sd == pytest.approx(np.std(values, ddof=1))
        assert 0.2 < np.mean(values) < 1
