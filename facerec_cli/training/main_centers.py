"""Which photos are far from the main center of their person, after a run with several centers a person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facerec_cli.backbones import Backbone, build
from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.data import FaceDataset
from facerec_cli.data.dataset import fingerprint
from facerec_cli.data.loading.batches import resized
from facerec_cli.errors import InputError, ModelError
from facerec_cli.losses.classifier import unit
from facerec_cli.progress import Progress, silent
from facerec_cli.training import checkpoint

_CHUNK = 256  # photos in memory at a time


@torch.no_grad()
def degrees_to_main_center(
    run: Path | str, dataset: FaceDataset, *, device: str = "cpu", progress: Progress = silent
) -> NDArray[np.float32]:
    """The angle of each photo to the main center of its person, the one nearest to most of their photos.

    Deng et al., Sub-center ArcFace, ECCV 2020, section 3.4: photos beyond 75 degrees are left out and the
    network is trained anew with arcface; insightface's ``recognition/subcenter_arcface/drop.py``.

    Args:
        run: Folder of a run with the loss ``subcenter_arcface``, or its ``last.pt``.
        dataset: What the run was trained on, in random access.
        device: Where the network runs, as in torch.device.
        progress: Told of the photos.

    Returns:
        (N,) float32 degrees, 0 to 180; nan for a photo that cannot be read.

    Raises:
        ModelError: The checkpoint has no centers, or is of other data.
    """
    path = Path(run)
    path = path / "last.pt" if path.is_dir() else checkpoint.find(path)
    backbone, centers = _load(path, dataset)
    encoder = TorchEncoder(backbone.to(device), torch.device(device))
    cosines = np.full((len(dataset), centers.shape[1]), np.nan, np.float32)
    for start in range(0, len(dataset), _CHUNK):
        progress(start, len(dataset))
        crops, rows = [], []
        for row in range(start, min(start + _CHUNK, len(dataset))):
            try:
                crops.append(resized(dataset.image(row), 112))
            except InputError:  # nan tells of it
                continue
            rows.append(row)
        if rows:
            vectors = unit(torch.from_numpy(encoder.encode(np.stack(crops)[..., ::-1])))
            own = centers[torch.from_numpy(dataset.labels[rows])]
            cosines[rows] = torch.einsum("nd,nkd->nk", vectors, own).numpy()
    main = main_centers(cosines, dataset.labels, len(centers))
    own_cosine = np.take_along_axis(cosines, main[dataset.labels][:, None], 1)[:, 0]
    return np.degrees(np.arccos(np.clip(own_cosine, -1, 1)))


def main_centers(cosines: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The center nearest to most photos of each class, of several the first, (classes,) int64.

    Args:
        cosines: (N, K) of each photo with the centers of its own class; nan where there is no photo.
        labels: (N,) the class of each.
        classes: How many classes there are; one without photos gets center 0.
    """
    there = ~np.isnan(cosines).any(1)
    count = np.zeros((classes, cosines.shape[1]), np.int64)
    np.add.at(count, (labels[there], cosines[there].argmax(1)), 1)
    main: NDArray[np.int64] = count.argmax(1)
    return main


def _load(path: Path, dataset: FaceDataset) -> tuple[Backbone, Tensor]:
    """The network as it was trained beside its centers, and these, (C, K, D) unit rows."""
    if not path.is_file():
        raise ModelError(f"There is no checkpoint {path}.", hint="Give last.pt of a run.")
    document = checkpoint.read(path)
    if document.get("loss", {}).get("name") != "subcenter_arcface" or "ranks" not in document:
        raise ModelError(
            f"{path} has no centers of a class.",
            hint="Give the last.pt of a run with --loss subcenter_arcface.",
        )
    saved, data = document["backbone"], document["data"]
    if data["classes"] != dataset.num_classes or data.get("people") not in (None, "", fingerprint(dataset)):
        raise ModelError(
            f"{path} was not trained on {dataset.spec}.",
            hint="Give the data that the run's recipe.toml names.",
        )
    parts = [
        checkpoint.read(path.parent / part) if isinstance(part, str) else part for part in document["ranks"]
    ]
    weight = torch.cat([part["loss"]["classifier.weight"] for part in parts])
    backbone = build(saved["name"], saved["embedding_size"], **saved["settings"])
    backbone.load_state_dict(saved["state"])
    return backbone, unit(weight.view(len(weight), -1, saved["embedding_size"]))
