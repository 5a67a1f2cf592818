"""The face model: a pack's detector and encoder, opened on one device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.faces.face import Face
from facerec_cli.packs.manifest import ModelPack

Image = NDArray[np.uint8]


def model_hash(pack: ModelPack) -> str:
    """The sha256 (hexadecimal) of what decides an embedding: detector, encoder and preprocessing."""
    raise NotImplementedError


def open_model(
    ref: str | Path | ModelPack = "sface",
    *,
    device: str = "auto",
    threads: int | None = None,
    detector: bool = True,
) -> FaceModel:
    """Open a model for inference.

    Args:
        ref: A pack's name, a pack folder, an ``.onnx`` file with our metadata, or an opened pack.
        device: auto, cpu, cuda, tensorrt, coreml or openvino. A device that is named and cannot be had is an
            error; "auto" takes the best one that works.
        threads: CPU threads for the networks; None chooses by the number of cores.
        detector: Whether the detector is needed (not for ready crops).

    Raises:
        ModelError: The pack, its files or the device cannot be used; the message says what to do.
    """
    raise NotImplementedError


class FaceModel:
    """A pack's detector and encoder, opened on one device. Usable from several threads.

    Attributes:
        pack: The pack that was opened.
        provider: What the encoder really runs on: cpu, cuda, tensorrt, coreml or openvino.
    """

    pack: ModelPack
    provider: str
    hash: str

    def detect(
        self,
        images: Sequence[Image],
        *,
        min_score: float | None = None,
        min_size: float = 0,
        max_side: int | None = None,
    ) -> list[list[Face]]:
        """Find the faces of every photo, best score first.

        Args:
            images: (H, W, 3) uint8 BGR photos, of any sizes.
            min_score: Threshold on the score; None takes the pack's.
            min_size: Faces whose box's shorter side is below this many pixels are left out.
            max_side: Photos whose longer side is above this are searched at a reduced scale; None takes the
                detector's default.

        Returns:
            One list per photo, in the photos' order; coordinates are pixels of the photo as given.
        """
        raise NotImplementedError

    def align(self, image: Image, face: Face) -> Image:
        """Cut a face out of its photo, turned and scaled to the pack's template.

        Returns:
            (H, W, 3) uint8 BGR in the pack's input size; outside the photo is black.
        """
        raise NotImplementedError

    def encode(self, crops: Image, *, flip: bool = False, batch_size: int = 16) -> NDArray[np.float32]:
        """Embed aligned crops.

        Args:
            crops: (N, H, W, 3) uint8 BGR, in the pack's input size.
            flip: Add the embedding of the mirrored crop.
            batch_size: Crops per run of the network.

        Returns:
            (N, D) float32 raw embeddings: the norm is kept, the caller normalises.
        """
        raise NotImplementedError
