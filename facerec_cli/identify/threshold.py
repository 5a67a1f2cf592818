"""From which score on a face gets a name: given, of the gallery's card, of its own searches, of the model."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.gallery.calibrate import card_at, own_searches
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.identify.people import SearchedGallery, require_pack
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.metrics.fpir import searches_needed
from facerec_cli.metrics.impostor_tail import for_templates, tail_of
from facerec_cli.metrics.search_threshold import SearchThreshold, choose_search_threshold, from_value
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.untrusted import read_toml
from facerec_cli.verify.settings import Steps, no_steps
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

MOST_OWN = 10_000
"""People up to whom a gallery is searched in itself each time; a larger one is calibrated once, to a card."""

MOST_OWN_WITHOUT_TAIL = 100_000
"""The same for a model whose scores of two people were never measured: minutes, instead of no threshold."""


def threshold_of(
    opened: SearchedGallery, settings: IdentifySettings, steps: Steps = no_steps
) -> SearchThreshold | None:
    """The threshold of a search in a gallery.

    Args:
        opened: The gallery.
        settings: The rate or the number that was asked for.
        steps: Watches the work.

    Returns:
        The threshold; None where no claim is made.

    Raises:
        InputError: Nothing supports one at this rate.
        UsageError: ``--threshold`` is no cosine.
    """
    people = opened.people
    if settings.mode == "investigate":
        return None
    (found,) = find_thresholds(opened, settings, (settings.rate,), steps)
    if settings.threshold is not None:
        return found
    if found.value is None:
        raise InputError(
            f"No threshold can be found for {people.source!r}: {found.reason}.",
            hint="Give --threshold with a cosine that you trust, list candidates with --mode investigate, or "
            "choose a larger --fpir.",
        )
    if found.caution:
        log.warning("%s", found.caution)
    if not found.measurable:
        advice = _measuring(people, settings.rate) if opened.folder is not None else ""
        log.warning("the threshold %.4f is %s%s", found.value, found.reason, advice)
    return found


def find_thresholds(
    opened: SearchedGallery, settings: IdentifySettings, fpirs: Sequence[float], steps: Steps = no_steps
) -> tuple[SearchThreshold, ...]:
    """The threshold that was given, or the one of each rate, which may have no value.

    Raises:
        UsageError: ``--threshold`` is no cosine.
    """
    people = opened.people
    pack = _pack_of(people, settings)
    tail = None if pack is None else tail_of(pack, flip=bool(people.settings.get("flip", False)))
    if settings.threshold is not None:
        value = _given(settings.threshold, pack)
        moved = None if tail is None else for_templates(tail, people.faces)
        return (from_value(value, len(people), moved),)
    cards = [card_at(opened.cards, fpir, len(people), people.source) for fpir in fpirs]
    own = None
    if None in cards and len(people) <= (MOST_OWN if tail is not None else MOST_OWN_WITHOUT_TAIL):
        with steps("Searching the gallery in itself", "people") as progress:
            own = own_searches(people, tail, progress=progress)
    return tuple(
        card or choose_search_threshold(fpir, len(people), own=own, tail=tail, faces=people.faces)
        for card, fpir in zip(cards, fpirs, strict=True)
    )


def _measuring(people: EnrolledPeople, fpir: float) -> str:
    """What would measure the threshold of an enrolled gallery."""
    name = shlex.quote(people.source)
    if len(people) > MOST_OWN and len(people) >= searches_needed(fpir, own=True):
        return f"; measure it once: facerec gallery calibrate {name} --fpir {fpir:g}"
    return (
        f"; it takes a larger --fpir, or {counted(searches_needed(fpir, own=False), 'stranger')}: "
        f"facerec gallery calibrate {name} --fpir {fpir:g} --outsiders PHOTOS"
    )


def _pack_of(people: EnrolledPeople, settings: IdentifySettings) -> ModelPack | None:
    """The gallery's pack; None where it is not here, as is no fault where everything is embedded."""
    try:
        return require_pack(people, settings)
    except FacerecError:
        if settings.model is not None:
            raise
        return None


def _given(text: str, pack: ModelPack | None) -> float:
    """The cosine that a user gives.

    Raises:
        UsageError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        raise _no_cosine(text) from None
    if not (math.isfinite(value) and -1 <= value <= 1):
        raise UsageError(f"--threshold {text} is not a cosine between -1 and 1.")
    if pack is not None and pack.threshold is not None and abs(value - pack.threshold.value) < 5e-5:
        log.warning(
            "%s is the threshold of %s for two photos; a search compares a stranger with everybody who is "
            "enrolled and takes a higher one, which --fpir finds",
            text,
            pack.name,
        )
    return value


def _no_cosine(text: str) -> UsageError:
    """The error for a threshold that is a file or a word."""
    if not Path(text).is_file():
        return UsageError(
            f"--threshold {text} is not a cosine.", hint="Give a number such as 0.45, or --fpir."
        )
    try:
        keys = read_toml(Path(text), name=f"The file {text!r}", advice="")
    except FacerecError:
        keys = {}
    what = "a threshold for two photos" if "far" in keys else "a file"
    return UsageError(
        f"--threshold {text} is {what}, and a search takes a cosine.",
        hint="A threshold of `facerec verify` gives names to strangers in a search: leave it out and say "
        "with --fpir how many may get one.",
    )
