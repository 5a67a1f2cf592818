"""Class weights that start where the backbone of ``--init`` puts each person, for fine-tuning.

With random class weights the first steps of a fine-tuning pull all photos towards random directions, and undo
what the backbone knows. This is weight imprinting (Qi et al., CVPR 2018, arXiv 1712.07136).
"""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facerec_cli.backbones import Backbone
from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.data import FaceDataset
from facerec_cli.data.loading.batches import resized
from facerec_cli.errors import InputError
from facerec_cli.losses.base import Loss
from facerec_cli.losses.classifier import unit
from facerec_cli.progress import Progress, silent
from facerec_cli.training.defaults import PHOTOS_OF_EACH
from facerec_cli.untrusted import read_npy

logger = logging.getLogger("facerec")

_CHUNK = 256  # photos in memory at a time


@torch.no_grad()
def class_means(
    backbone: Backbone, dataset: FaceDataset, classes: range, each: int, progress: Progress = silent
) -> Tensor:
    """The unit mean of the unit embeddings of some photos of each class.

    Args:
        backbone: As it starts, on the device where it will run.
        dataset: In random access.
        classes: Consecutive classes.
        each: Photos of one class at most, evenly spread over those there are.
        progress: Told of the photos.

    Returns:
        (len(classes), D) float32 on the backbone's device; a class without a readable photo has a zero row.
    """
    order = np.argsort(dataset.labels, kind="stable")
    bounds = np.searchsorted(dataset.labels[order], np.arange(classes.start, classes.stop + 1))
    samples = [
        (order[np.linspace(first, last - 1, min(each, last - first)).astype(np.int64)], place)
        for place, (first, last) in enumerate(pairwise(bounds))
        if last > first
    ]
    device = next(backbone.parameters()).device
    sums = torch.zeros(len(classes), backbone.embedding_size, device=device)
    if not samples:
        return sums
    photos = np.concatenate([rows for rows, _ in samples])
    places = np.concatenate([np.full(len(rows), place) for rows, place in samples])
    encoder = TorchEncoder(backbone, device)
    for start in range(0, len(photos), _CHUNK):
        progress(start, len(photos))
        crops, crop_places = [], []
        rows = slice(start, start + _CHUNK)
        for photo, place in zip(photos[rows].tolist(), places[rows].tolist(), strict=True):
            try:
                crops.append(resized(dataset.image(photo), 112))
            except InputError:  # the loader tells of broken photos
                continue
            crop_places.append(place)
        if crops:
            vectors = torch.from_numpy(encoder.encode(np.stack(crops)[..., ::-1])).to(device)
            sums.index_add_(0, torch.tensor(crop_places, device=device), unit(vectors))
    return unit(sums)


def read_means(path: str, classes: int, dimensions: int) -> Tensor:
    """(classes, dimensions) float32 from a ``.npy`` that :func:`class_means` was saved to.

    Raises:
        InputError: It cannot be read, or has another shape.
    """
    try:
        means = read_npy(Path(path))
    except (OSError, ValueError) as fault:
        raise InputError(
            f"{path} cannot be read as .npy: {fault}.", hint="Write it with numpy.save."
        ) from fault
    if means.shape != (classes, dimensions) or means.dtype.kind != "f" or not np.isfinite(means).all():
        raise InputError(
            f"{path} holds {means.dtype} {means.shape}, not means of {classes} people with {dimensions} "
            "dimensions.",
            hint="It belongs to other data or another network; leave out loss.class_weights.",
        )
    return torch.from_numpy(means.astype(np.float32))


def start_classes(
    loss: Loss, backbone: Backbone, dataset: FaceDataset, source: str, progress: Progress = silent
) -> None:
    """Start this process's class weights at means; a class without one keeps a random direction.

    Args:
        loss: With class weights or without.
        backbone: As it starts.
        dataset: What will be trained on.
        source: "means" to make them, or a ``.npy`` of the means of all classes.
        progress: Told of the photos that means are made of.
    """
    classes = loss.local_classes()
    if not classes:
        return
    if source == "means":
        means = class_means(backbone, dataset, classes, PHOTOS_OF_EACH, progress)
    else:
        means = read_means(source, dataset.num_classes, backbone.embedding_size)[classes.start : classes.stop]
        means = unit(means.to(next(backbone.parameters()).device))
    missing = (means == 0).all(1)
    if missing.any():
        fresh = torch.randn(means.shape, generator=torch.Generator().manual_seed(0)).to(means.device)
        means = torch.where(missing[:, None], unit(fresh), means)
    loss.start_at(means)
    logger.info("class weights start at means: %s", source)
