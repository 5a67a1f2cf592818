"""The threshold of a gallery: of its card, or measured with its own people, and moved when it has grown."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence

import numpy as np

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import FacerecError, InputError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.facts import PeopleFacts
from facerec_cli.gallery.info import GalleryInfo, now
from facerec_cli.metrics.fpir import searches_needed
from facerec_cli.metrics.impostor_tail import as_single_photos
from facerec_cli.metrics.scores import Scores, Vectors
from facerec_cli.metrics.search_threshold import SearchThreshold, choose_search_threshold, tail_of
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.progress import Progress, silent
from facerec_cli.threshold import ImpostorTail
from facerec_cli.untrusted import parse_json
from facerec_cli.wording import counted, percent
from facerec_cli.wording import people as counted_people

log = logging.getLogger("facerec")

_AT_ONCE = 4096  # people who are searched for together

GROWN = 1.25
"""Times as many people as a threshold was measured with, from where on it should be measured anew."""


def own_searches(
    people: EnrolledPeople, tail: ImpostorTail | None = None, *, progress: Progress = silent
) -> Scores:
    """The best score of each person among the others, which are non-mated searches for free.

    The first face of each is searched for, as a photo of a stranger will be. Where there are templates alone,
    these are, and what they score higher than one photo is taken off.

    Args:
        people: Who is enrolled.
        tail: Of the model, which tells how much higher templates score.
        progress: Told the people done.

    Returns:
        (N,) float in the order of the people; empty in a gallery of one.
    """
    count = len(people)
    best = np.full(count, -np.inf, np.float32)
    templates = np.full(count, -1)
    templates[people.person[people.person >= 0]] = np.flatnonzero(people.person >= 0)
    starts = np.cumsum([0, *(len(block) for block in people.templates)])
    for start in range(0, count, _AT_ONCE):
        at = np.arange(start, min(start + _AT_ONCE, count))
        if people.first_faces is not None:
            probes = people.first_faces(at)
        else:
            block = np.searchsorted(starts, templates[at], side="right") - 1
            places = zip(block.tolist(), (templates[at] - starts[block]).tolist(), strict=True)
            probes = np.stack([people.templates[number][row] for number, row in places])
        candidates, scores = people.search(probes, 2)
        best[at] = np.where(candidates[:, 0] == at, scores[:, 1], scores[:, 0])
        progress(int(at[-1]) + 1, count)
    if count < 2:
        return best[:0]
    return best if people.first_faces or tail is None else as_single_photos(best, tail, people.faces)


def gallery_tail(info: GalleryInfo) -> ImpostorTail | None:
    """The impostor tail of a gallery's model, where the model is here and has one."""
    return model_tail(info.model_info(), flip=info.flip)


def model_tail(model: ModelInfo, *, flip: bool) -> ImpostorTail | None:
    """The impostor tail of the model of some embeddings, where the model is here and has one."""
    try:
        pack = open_pack(model.name)
        return tail_of(pack, flip=flip) if pack_hash(pack) == model.sha256 else None
    except FacerecError:
        return None


def calibrate(
    people: EnrolledPeople,
    fpir: float,
    tail: ImpostorTail | None,
    *,
    outsiders: Vectors | None = None,
    progress: Progress = silent,
) -> SearchThreshold:
    """Measure the threshold at which a share ``fpir`` of searches for strangers gives a name.

    Args:
        people: Who is enrolled.
        fpir: Above 0 and below 1.
        tail: Of the model.
        outsiders: (S, D) float32 unit vectors of strangers, one photo each, as they will be searched for;
            what they cannot carry is an error, and nothing else takes their place.
        progress: Told the people done.

    Raises:
        InputError: Nobody is enrolled, or ``outsiders`` are too few.
        UsageError: ``fpir`` is out of range.
    """
    best = None if outsiders is None or not len(people) else people.search(outsiders, 1)[1][:, 0]
    own = None if best is not None else own_searches(people, tail, progress=progress)
    found = choose_search_threshold(fpir, len(people), own=own, tail=tail, outsiders=best, faces=people.faces)
    if best is not None and found.source != "outsiders":
        least = math.ceil(3000 / len(best)) / 1000
        larger = f", or a larger --fpir, from {least:g} on" if least < 1 else ""
        raise InputError(
            f"{counted(len(best), 'stranger')} cannot measure FPIR {percent(fpir)}, which takes "
            f"{searches_needed(fpir, own=False):,}.",
            hint=f"Give more{larger}; or calibrate without --outsiders.",
        )
    return found


def card_at(
    cards: Sequence[SearchThreshold], fpir: float, people: int, source: str
) -> SearchThreshold | None:
    """The card of a rate, moved to a number of people; None where there is none.

    Args:
        cards: The newest first.
        fpir: The rate.
        people: How many are enrolled now.
        source: What the user calls the gallery, which is told where it has grown by more than a quarter.
    """
    card = next((one for one in cards if one.fpir is not None and math.isclose(one.fpir, fpir)), None)
    if card is None or card.value is None or not people:
        return None
    measured = card.measured_people or card.people
    if people > measured * GROWN:
        log.warning(
            "%s has grown from %s to %s since it was calibrated; the threshold is moved by the rule. "
            "Measure it anew: facerec gallery calibrate %s",
            source,
            counted_people(measured),
            counted_people(people),
            source,
        )
    return card.for_people(people)


def read_cards(facts: PeopleFacts) -> tuple[SearchThreshold, ...]:
    """The thresholds that are kept, the newest first.

    Raises:
        InputError: One is damaged.
    """
    where = f"A card in {facts.path}"
    cards = []
    for (text,) in facts.all("SELECT document FROM card ORDER BY id DESC"):
        try:
            document = parse_json(text)
        except ValueError as fault:
            raise InputError(f"{where} is damaged: {fault}.", hint="Calibrate the gallery anew.") from fault
        cards.append(SearchThreshold.from_document(document, source=where))
    return tuple(cards)


def write_card(facts: PeopleFacts, card: SearchThreshold) -> None:
    """Keep a threshold instead of an earlier one of the same rate."""
    text = json.dumps(card.document())
    earlier = facts.all("SELECT id, document FROM card")
    same = [(number,) for number, old in earlier if parse_json(old).get("fpir") == card.fpir]
    with facts.change() as base:
        base.executemany("DELETE FROM card WHERE id = ?", same)
        base.execute(
            "INSERT INTO card (document, people, generation, created) "
            "SELECT ?, ?, value, ? FROM state WHERE key = 'generation'",
            (text, card.people, now()),
        )
