"""The threshold of a search on the searches of an evaluation: given, of the card, and by its own rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_people import MODEL, unit, write_embeddings

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import UsageError
from facerec_cli.gallery.gallery import create_gallery
from facerec_cli.identify.evaluate import evaluate
from facerec_cli.identify.evaluation_report import evaluation_page
from facerec_cli.identify.people import open_searched
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.identify.threshold import threshold_of
from facerec_cli.metrics.roc import wilson_interval
from facerec_cli.metrics.search_threshold import from_searches

PEOPLE, DIMENSIONS = 400, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first half of 400 people, and a second photo of each of all."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(0)
    centers = random.normal(size=(PEOPLE, DIMENSIONS))
    photos = [centers + 0.7 * random.normal(size=centers.shape) for _ in range(2)]
    for name, vectors in (("gallery", photos[0][: PEOPLE // 2]), ("probes", photos[1])):
        faces = [(f"{name}/p{who}/1.jpg", unit(*vector)) for who, vector in enumerate(vectors)]
        write_embeddings(folder / f"{name}.npy", faces)
    return folder


def by_hand(folder: Path, threshold: float) -> tuple[int, int]:
    """Strangers who get a name, and people who get their own."""
    gallery, probes = np.load(folder / "gallery.npy"), np.load(folder / "probes.npy")
    scores = probes @ gallery.T
    own = scores[: PEOPLE // 2]
    found = (own.argmax(axis=1) == np.arange(PEOPLE // 2)) & (own.max(axis=1) >= threshold)
    return int((scores[PEOPLE // 2 :].max(axis=1) >= threshold).sum()), int(found.sum())


def test_a_given_threshold_has_the_rates_that_counting_finds(folder: Path) -> None:
    inputs = [folder / "gallery.npy", folder / "probes.npy"]
    outcome = evaluate(inputs, IdentifySettings(threshold="0.6", bootstrap=0))
    strangers, found = by_hand(folder, 0.6)
    (at,) = outcome.document()["trials"][0]["at_threshold"]
    assert (at["threshold"], at["source"], at["wished_fpir"]) == (0.6, "given", None)
    assert (at["accepted_non_mated"], at["accepted_mated"]) == (strangers, found) and 0 < strangers < found
    assert at["fpir"] == strangers / 200 and at["tpir"] == found / 200 and at["fnir"] == 1 - found / 200
    assert (at["fpir_low"], at["fpir_high"]) == wilson_interval(strangers, 200)
    assert (at["fnir_low"], at["fnir_high"]) == pytest.approx(wilson_interval(200 - found, 200))
    assert outcome.trials[0].search.tpir_at_fpir[2].measurable  # the figures without it are there too
    (sentence,) = outcome.transfer()
    assert sentence.startswith(f"the threshold 0.6000, as given, met FPIR {100 * strangers / 200:.2f} % (")
    assert sentence in evaluation_page(outcome)
    with pytest.raises(UsageError, match="is not a cosine"):
        evaluate(inputs, IdentifySettings(threshold="7"))


def test_each_wished_rate_has_the_threshold_that_a_search_would_use(folder: Path) -> None:
    wished = (0.05, 0.1)
    outcome = evaluate(
        [folder / "gallery.npy", folder / "probes.npy"], IdentifySettings(fpir=wished, bootstrap=0)
    )
    opened = open_searched(folder / "gallery.npy")
    for one, fpir in zip(outcome.trials[0].applied, wished, strict=True):
        expected = threshold_of(opened, IdentifySettings(fpir=(fpir,)))
        assert one.threshold.value == expected.value and one.threshold.source == "own searches"
        assert one.rates.accepted_non_mated == by_hand(folder, expected.value)[0]
        assert f"that identify would use for FPIR {100 * fpir:.0f} % met" in one.sentence()


def test_a_rate_without_a_threshold_is_told(folder: Path) -> None:
    outcome = evaluate([folder / "gallery.npy", folder / "probes.npy"], IdentifySettings(bootstrap=0))
    (at,) = outcome.document()["trials"][0]["at_threshold"]
    assert at["threshold"] is None and at["wished_fpir"] == 0.01
    assert "would find no threshold for FPIR 1 %: the model has no impostor tail" in outcome.transfer()[0]


def test_the_card_of_an_enrolled_gallery_is_what_is_applied(folder: Path, tmp_path: Path) -> None:
    vectors = np.load(folder / "gallery.npy")
    model = ModelInfo(MODEL["name"], MODEL["sha256"])
    with create_gallery(tmp_path / "staff", model, DIMENSIONS, {"flip": False}) as made:
        made.enroll(vectors, [f"p{who}" for who in range(len(vectors))])
        best = np.linspace(0, 0.7, 1000, dtype=np.float32)
        made.save_card(from_searches(best, len(vectors), 0.01, source="outsiders"))
        card = made.cards()[0]
    outcome = evaluate([tmp_path / "staff", folder / "probes.npy"], IdentifySettings(bootstrap=0))
    (one,) = outcome.trials[0].applied
    assert (one.threshold.value, one.threshold.source) == (card.value, "outsiders")
    assert one.rates.accepted_non_mated == by_hand(folder, card.value)[0]
