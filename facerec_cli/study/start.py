"""What all runs from the same first weights share, made once before them.

A run of its own would make both anew: the means that its class weights start at, and how the validation
people fare before training, which the interpolation is measured against.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec_cli._version import __version__
from facerec_cli.files import write_file
from facerec_cli.study.embeddings import SubsetEvaluator, device_of, first_network
from facerec_cli.study.materials import Materials
from facerec_cli.study.protocol import BEFORE, ValidationSettings
from facerec_cli.study.run import Job, starts_at_means
from facerec_cli.training.config import Recipe
from facerec_cli.training.defaults import PHOTOS_OF_EACH

FOLDER = "start"


def share_start(jobs: Sequence[Job], out: Path) -> list[Job]:
    """The same jobs, with the means and the first judgement that they share, from ``out`` if they are there.

    Raises:
        InputError: A crop cannot be read.
    """
    trained = [job for job in jobs if job.arm != BEFORE and job.recipe.backbone.init]
    if not trained:
        return list(jobs)
    means = None
    if any(starts_at_means(job.recipe) for job in trained):
        means = _means(trained[0].recipe, trained[0].materials, out)
    first = None
    if trained[0].settings.interpolate != (1.0,):
        first = _first_judgement(trained[0].recipe, trained[0].settings, trained[0].materials, out)
    shared = dataclasses.replace(jobs[0].materials, means=means, first=first)
    return [dataclasses.replace(job, materials=shared) for job in jobs]


def _means(recipe: Recipe, materials: Materials, out: Path) -> Path:
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


def _first_judgement(
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
