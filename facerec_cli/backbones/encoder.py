"""A backbone as an encoder: aligned crops in, raw embeddings out, in evaluation mode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facerec_cli.backbones.base import Backbone, Preprocessing
from facerec_cli.progress import Progress, silent

_BATCH = 256
_BATCH_PER_THREAD = 4  # on a CPU: what a layer writes is still in the cache when the next one reads it


@dataclass(frozen=True, slots=True)
class TorchEncoder:
    """A backbone as a ``faces.Encoder``. Its modules' modes are left as they were.

    Attributes:
        backbone: In any mode, on ``device``.
        device: Where it runs.
        preprocessing: How crops become its input; None takes the backbone's own.
        flip: Add the embedding of the mirrored crop.
        normalize: Give unit embeddings.
        dtype: Of autocast; float32 is none.
        batch_size: Crops at a time; None takes what is fast on the device. The last bits of an embedding may
            depend on it, and by it on the number of threads.
        progress: Told the crops done.
    """

    backbone: Backbone
    device: torch.device
    preprocessing: Preprocessing | None = None
    flip: bool = False
    normalize: bool = False
    dtype: torch.dtype = torch.float32
    batch_size: int | None = None
    progress: Progress = silent

    @torch.no_grad()
    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, S, S, 3) uint8 BGR crops -> (N, D) float32 embeddings."""
        modes = {module: module.training for module in self.backbone.modules()}
        self.backbone.eval()
        on_cpu = self.device.type == "cpu"
        fast = _BATCH_PER_THREAD * torch.get_num_threads() if on_cpu else _BATCH
        count = self.batch_size or fast
        rows = [np.zeros((0, self.backbone.embedding_size), np.float32)]
        try:
            for start in range(0, len(crops), count):
                self.progress(start, len(crops))
                rows.append(self._encode_batch(crops[start : start + count]))
        finally:
            for module, training in modes.items():
                module.training = training
        vectors = np.concatenate(rows)
        if self.normalize:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def _encode_batch(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        rgb = torch.from_numpy(np.ascontiguousarray(crops[..., ::-1])).permute(0, 3, 1, 2)
        images = to_input(rgb.to(self.device), self.preprocessing or self.backbone.preprocessing)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            embeddings = self.backbone(images).embeddings
            if self.flip:
                embeddings = embeddings + self.backbone(images.flip(3)).embeddings
        return np.asarray(embeddings.float().cpu().numpy())


def to_input(images: Tensor, preprocessing: Preprocessing, *, channels_last: bool = True) -> Tensor:
    """(B, 3, S, S) uint8 RGB to what the backbone takes, on the device that ``images`` is on."""
    if preprocessing.color == "bgr":
        images = images.flip(1)
    mean, std = _mean_and_std(preprocessing, images.device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return ((images.float() - mean) / std).contiguous(memory_format=layout)


@lru_cache(maxsize=8)
def _mean_and_std(preprocessing: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    """(1, 3, 1, 1) each, made once: copying them to a GPU makes the CPU wait for all it was given to do."""
    values = (preprocessing.mean, preprocessing.std)
    mean, std = (torch.tensor(value, device=device).view(1, 3, 1, 1) for value in values)
    return mean, std
