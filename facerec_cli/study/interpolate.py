"""How far to go from the first weights to the trained ones: w0 + a (w1 - w0), a by the validation people.

A network that is fine-tuned for hard photos forgets some of what it knew of easy ones; part of the way there
it often has most of the gain and little of the loss (WiSE-FT, Wortsman et al., CVPR 2022, arXiv 2109.01903).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facerec_cli.study.embeddings import SubsetEvaluator, device_of, first_network
from facerec_cli.study.materials import Materials
from facerec_cli.study.protocol import ValidationSettings
from facerec_cli.training.config import Recipe

if TYPE_CHECKING:
    from facerec_cli.backbones import Backbone

CHOSEN = "chosen.pt"


def chosen_network(
    recipe: Recipe, folder: Path, settings: ValidationSettings, materials: Materials
) -> tuple[Backbone, dict[str, Any]]:
    """The network of a finished training at the value of a that the validation people prefer.

    Args:
        recipe: Of the training.
        folder: Of the training; the network is written there, too, for ``facerec export``.
        settings: What is tried and how it is chosen.
        materials: The validation photos.

    Returns:
        The network, and facts for the record: steps, recipe, ``interpolate`` and what was measured for it.
    """
    from facerec_cli.training import checkpoint
    from facerec_cli.training.start import interpolated

    network, info = checkpoint.load_backbone(folder / "best.pt")
    facts: dict[str, Any] = {"steps": info.step, "interpolate": 1.0, "recipe": info.recipe}
    (folder / CHOSEN).unlink(missing_ok=True)  # of an earlier choice
    if not recipe.backbone.init or settings.interpolate == (1.0,):
        return network, facts
    before = first_network(recipe)
    first = {name: value.clone() for name, value in before.state_dict().items()}
    last = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate = SubsetEvaluator(materials.crops, materials.validation, settings.subsets, device_of(recipe))
    tried = {"0": dict(materials.first or evaluate(before))}
    for a in settings.interpolate:
        network.load_state_dict(interpolated(first, last, a))
        tried[f"{a:g}"] = evaluate(network)
    a = choose(tried, settings)
    network.load_state_dict(interpolated(first, last, a))
    document = checkpoint.read(folder / "best.pt", mmap=False)
    document["backbone"]["state"] = network.state_dict()
    document["ema"] = None
    checkpoint.write(folder / CHOSEN, document)
    return network, facts | {"interpolate": a, "validation": tried}


def choose(tried: Mapping[str, Mapping[str, float]], settings: ValidationSettings) -> float:
    """The value of a by the rule of :class:`ValidationSettings`.

    Args:
        tried: a as text -> subset -> TAR; "0" is the network as it was.
        settings: The subsets, the first of them clean, and what may be lost on it.
    """
    clean, *hard = settings.subsets

    def gain(a: float) -> float:
        return float(np.mean([tried[f"{a:g}"][subset] for subset in hard]))

    def lost(a: float) -> float:
        return tried["0"][clean] - tried[f"{a:g}"][clean]

    harmless = [a for a in settings.interpolate if lost(a) <= settings.clean_loss + 1e-9]
    return max(harmless, key=gain) if harmless else min(settings.interpolate, key=lost)
