"""What runs take from the weights that they start from: class means, a first evaluation, the way back.

What all runs from the same first weights share is made once before them: the means that class weights start
at, and how the validation people fare before training, which the interpolation is measured against.

A network that is fine-tuned for hard photos forgets some of what it knew of easy ones; part of the way from
the first weights to the trained ones, w0 + a (w1 - w0), it often has most of the gain and little of the loss
(WiSE-FT, Wortsman et al., CVPR 2022, arXiv 2109.01903). The validation people choose a.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facerec_cli._version import __version__
from facerec_cli.files import write_file
from facerec_cli.study.embeddings import SubsetEvaluator, device_of, first_network
from facerec_cli.study.prepare import Materials
from facerec_cli.study.protocol import ValidationSettings
from facerec_cli.training.config import Recipe
from facerec_cli.training.defaults import PHOTOS_OF_EACH

if TYPE_CHECKING:
    from facerec_cli.backbones import Backbone

CHOSEN = "chosen.pt"
FOLDER = "start"


def shared_means(recipe: Recipe, materials: Materials, out: Path) -> Path:
    """``.npy`` of the class means, (people, D)."""
    target = out / FOLDER / f"means-{_key(materials, materials.train_hash, PHOTOS_OF_EACH)}.npy"
    if not target.is_file():
        from facerec_cli.data import open_dataset
        from facerec_cli.training.class_means import class_means

        dataset = open_dataset(str(materials.train))
        network = first_network(recipe).to(device_of(recipe))
        found = class_means(network, dataset, range(dataset.num_classes), PHOTOS_OF_EACH)
        stream = io.BytesIO()
        np.save(stream, found.cpu().numpy())
        write_file(target, stream.getvalue())
    return target


def shared_first_evaluation(
    recipe: Recipe, settings: ValidationSettings, materials: Materials, out: Path
) -> dict[str, float]:
    """Subset -> TAR of the validation people before training."""
    key = _key(materials, materials.crops_hash, materials.validation.people, settings.subsets)
    target = out / FOLDER / f"validation-{key}.json"
    if not target.is_file():
        evaluate = SubsetEvaluator(materials.crops, materials.validation, settings.subsets, device_of(recipe))
        write_file(target, json.dumps(evaluate(first_network(recipe))).encode())
    found: dict[str, float] = json.loads(target.read_text("utf-8"))
    return found


def _key(materials: Materials, *what: object) -> str:
    """Hash of the first weights and of ``what``, twelve digits."""
    text = json.dumps([__version__, materials.first_hash, *what])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def starts_at_means(recipe: Recipe) -> bool:
    """Whether an arm's class weights start at the means: where it says so, or leaves it open."""
    return bool(recipe.backbone.init) and (
        recipe.loss.class_weights == "means"
        or (recipe.loss.class_weights is None and recipe.backbone.embedding_size is None)
    )


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
