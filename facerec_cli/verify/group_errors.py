"""The error rates of groups of people on a list: at its own threshold, and at the model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.metrics.bootstrap import people_of
from facerec_cli.metrics.group_ratios import with_ratios
from facerec_cli.metrics.group_report import GroupReport
from facerec_cli.metrics.groups import group_rates, read_groups
from facerec_cli.metrics.thresholds import threshold_with_flip
from facerec_cli.packs.catalog import find_entry
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.threshold import Threshold
from facerec_cli.verify.photo_vectors import PhotoVectors
from facerec_cli.verify.settings import Steps, VerifySettings


def measure_groups(
    table: Path,
    pairs: PairList,
    scores: NDArray[np.float32],
    failed: NDArray[np.bool_],
    *,
    own: tuple[float, float],
    model: Threshold | None,
    steps: Steps,
) -> GroupReport:
    """Rates of each group and their ratios.

    Args:
        table: The groups of photos or people.
        pairs: The list.
        scores: (P,) similarity.
        failed: (P,) bool, pairs without a score.
        own: The list's threshold and the false accept rate that it stands for.
        model: The model's threshold.
        steps: Watches the work.

    Raises:
        InputError: The table cannot be read, or fits no photo.
    """
    group_of, names = read_groups(table, pairs.names)
    people = pairs.identity
    if people is None:
        people = people_of(pairs.first, pairs.second, pairs.same)
    sides = group_of[pairs.first], group_of[pairs.second]
    whose = people[pairs.first], people[pairs.second]
    unknown = int((group_of < 0).sum())

    def at(threshold: float, far: float) -> GroupReport:
        report = group_rates(
            scores, pairs.same, failed, sides, names, threshold=threshold, far=far, unknown=unknown
        )
        with steps("Groups", "rounds") as progress:
            return with_ratios(report, scores, pairs.same, failed, sides, whose, progress=progress)

    if model is None or model.far is None:
        return at(*own)
    return replace(at(*own), at_model_threshold=at(model.value, model.far))


def threshold_of(settings: VerifySettings, embeddings: PhotoVectors) -> Threshold | None:
    """The threshold that comes with the model of the embeddings, as two photos would be judged by it.

    None where it has none, or where vectors from elsewhere do not say that they are of a model that is here.
    """
    made, pack = embeddings.model, settings.model
    if pack is None:
        entry = find_entry(made.name)
        pack = None if entry is None or entry.folder is None else entry.pack
    elif not isinstance(pack, ModelPack):
        pack = open_pack(pack)
    if pack is None or pack.threshold is None or pack_hash(pack) != made.sha256:
        return None
    flip = bool(embeddings.settings.get("flip", False))
    return threshold_with_flip(pack, pack.threshold.far) if flip else pack.threshold
