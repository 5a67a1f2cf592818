"""The face model: a pack's detector and encoder, opened on one device."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, ModelError
from facerec_cli.faces.align import similarity, template, warp
from facerec_cli.faces.detectors.detector import Detector
from facerec_cli.faces.encoder import OnnxEncoder
from facerec_cli.faces.face import Face
from facerec_cli.faces.proof import prove_encoder
from facerec_cli.faces.views import View
from facerec_cli.images.samples import Image
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import detector_of, open_pack, pack_hash
from facerec_cli.registry import DEFAULT_PACK

log = logging.getLogger("facerec")

FAINT = 0.5
"""The part of the pack's detection score that is asked of a face in a photo where no other is found."""


def open_model(
    ref: str | Path | ModelPack = DEFAULT_PACK,
    *,
    device: str = "auto",
    threads: int | None = None,
    detector: bool = True,
) -> FaceModel:
    """Open a model for inference.

    Args:
        ref: A pack's name, a pack folder, an ``.onnx`` file with our metadata, or an opened pack.
        device: auto, cpu, cuda, tensorrt, coreml or openvino. A device that is named and cannot be had is an
            error; "auto" takes CUDA where it works, else the CPU.
        threads: CPU threads for the networks; None takes one for each core that the process may use.
        detector: Whether the detector is needed (not for ready crops).

    Raises:
        ModelError: The pack, its files or the device cannot be used; the message says what to do.
    """
    pack = ref if isinstance(ref, ModelPack) else open_pack(ref)
    return FaceModel(pack, device=device, threads=threads, detector=detector)


class FaceModel:
    """A pack's detector and encoder, opened on one device. Usable from several threads.

    Args:
        pack: What to open; see :func:`open_model` for the rest.
        device: Where to run.
        threads: CPU threads.
        detector: Whether :meth:`detect` will be used.

    Attributes:
        pack: The pack that was opened.
        provider: What the encoder really runs on: cpu, cuda, tensorrt, coreml or openvino.
        hash: :func:`packs.resolve.pack_hash` of the pack.
        input_size: (width, height) of an aligned crop.
        embedding_size: D.
    """

    def __init__(
        self, pack: ModelPack, *, device: str = "auto", threads: int | None = None, detector: bool = True
    ) -> None:
        encoder = pack.encoder
        self.pack = pack
        self.input_size = encoder.input_size
        self.embedding_size = encoder.embedding_size
        self._template = template(encoder.template, encoder.input_size)
        self._encoder = OnnxEncoder(encoder, pack.encoder_path, device=device, threads=threads)
        network = self._encoder.network
        self.provider = network.device
        if pack.unproved:
            prove_encoder(self._encoder)
        if network.input_shape[0] == 1:
            log.warning(
                "%s takes one crop at a time, which is slow on a GPU; export it with a dynamic batch.",
                pack.encoder_path,
            )
        self._detector: Detector | None = None
        if detector:
            spec, path = detector_of(pack)
            self._detector = Detector(spec, path, device=device, threads=threads)

    @property
    def hash(self) -> str:
        """What threshold cards and caches are bound to."""
        return pack_hash(self.pack)

    @property
    def faint_score(self) -> float:
        """The score, 0..1, that is asked of a face in a photo where no other is found: half of the pack's."""
        return FAINT * (self._detector.spec.min_score if self._detector is not None else 1.0)

    def detect(
        self,
        images: Sequence[Image | View],
        *,
        min_score: float | None = None,
        min_size: float = 0,
        max_side: int | None = None,
        finer: bool = True,
    ) -> list[list[Face]]:
        """Find the faces of every photo, best score first, at the scales that the photo needs.

        The first scale is that of ``max_side``. Large photos are searched once more at a smaller scale, for
        detectors miss faces that fill them, and where faces are small, or none is found, at larger ones
        (``faces.search`` says when). Turned and faint faces are for ``faces.find.find_faces``.

        Args:
            images: (H, W, 3) uint8 BGR photos of any sizes, upright, or views of encoded photos.
            min_score: Threshold on the score; None takes the pack's.
            min_size: Faces whose box's shorter side is below this many pixels are left out.
            max_side: Photos whose longer side is above this are searched at a reduced scale first; of
                panoramas, whose shorter side is above half of it. None takes 1024.
            finer: Whether photos are searched at larger scales than the first where that may find more.

        Returns:
            One list per photo, in the photos' order; coordinates are pixels of the photo or view as given.

        Raises:
            InputError: Not such photos.
            ModelError: The model was opened without its detector, or the network fails.
        """
        if self._detector is None:
            raise ModelError(
                "This model was opened without its detector.",
                hint="Open it with a detector, or give crops that are aligned already.",
            )
        return self._detector.detect(
            images, min_score=min_score, min_size=min_size, max_side=max_side, finer=finer
        )

    def align(self, image: Image, face: Face) -> Image:
        """Cut a face out of its photo, turned and scaled to the pack's template.

        Args:
            image: (H, W, 3) uint8 BGR, the photo that ``face`` was found in.
            face: Where it is.

        Returns:
            (H, W, 3) uint8 BGR in the pack's input size; outside the photo is black.

        Raises:
            InputError: The landmarks are not five distinct points.
        """
        return warp(image, similarity(face.landmarks, self._template), self.input_size)

    def encode(self, crops: Image, *, flip: bool = False, batch_size: int = 16) -> NDArray[np.float32]:
        """Embed aligned crops.

        Args:
            crops: (N, H, W, 3) uint8 BGR, in the pack's input size.
            flip: Add the embedding of the mirrored crop.
            batch_size: Most crops of one run of the network; a CPU takes fewer at a time.

        Returns:
            (N, D) float32 raw embeddings: the norm is kept, the caller normalizes.

        Raises:
            InputError: Not such crops.
            ModelError: The network fails.
        """
        crops = np.asarray(crops)
        width, height = self.input_size
        if crops.ndim != 4 or crops.shape[1:] != (height, width, 3) or crops.dtype != np.uint8:
            raise InputError(
                f"Crops must be (N, {height}, {width}, 3) uint8 BGR, not {crops.shape} {crops.dtype}."
            )
        out = self._encoder.encode(crops, batch_size)
        return out + self._encoder.encode(crops[:, :, ::-1], batch_size) if flip else out
