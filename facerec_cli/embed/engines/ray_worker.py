"""What a Ray actor does: hold the opened model, and turn a shard's paths into a packed shard."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec_cli._version import __version__
from facerec_cli.embed.photo_result import make_shard
from facerec_cli.embed.pipeline import embed_photos
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.embeddings.shards import Shards
from facerec_cli.errors import FacerecError, InputError, ModelError, ResourceError
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.files import output_error
from facerec_cli.images import quiet_decoders
from facerec_cli.images.remote import is_url
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import detector_of
from facerec_cli.runtime import import_onnxruntime


@dataclass(frozen=True, slots=True)
class Order:
    """All that a worker must know, but the photos.

    Attributes:
        pack: The model, from :func:`portable`.
        device: The provider that must really run.
        threads: CPU threads of the worker.
        options: What to embed and how.
        store: Packs the shards, and stores them where it is shared.
        folder: The driver's working folder, which relative paths start from.
        sample: A photo that the driver has on a disk, or None.
        versions: Of the driver's packages, see :func:`versions`.
        files: Reference to its networks in the object store.
    """

    pack: ModelPack
    device: str
    threads: int
    options: EmbedOptions
    store: Shards
    folder: str
    sample: str | None
    versions: Mapping[str, str]
    files: Any


def versions() -> dict[str, str]:
    """The versions that decide the bytes of a result."""
    import cv2
    import numpy as np

    return {
        "facerec": __version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "onnxruntime": import_onnxruntime().__version__,
        "OpenCV": cv2.__version__,
        "NumPy": np.__version__,
    }


def portable(pack: ModelPack) -> tuple[ModelPack, dict[str, bytes]]:
    """A pack for machines that do not have it: the manifest, and its networks by their names there.

    Where the pack brings no detector, the default one travels along.

    Raises:
        ModelError: A file cannot be read.
    """
    detector, path = detector_of(pack)
    names = ("encoder.onnx", "detector.onnx")
    try:
        files = {name: file.read_bytes() for name, file in zip(names, (pack.encoder_path, path), strict=True)}
    except OSError as error:
        raise ModelError(
            f"{error.filename} cannot be read: {error.strerror}.",
            hint="Make it readable on the machines of the cluster.",
        ) from error
    encoder = dataclasses.replace(pack.encoder, file=names[0])
    detector = dataclasses.replace(detector, file=names[1])
    return dataclasses.replace(pack, folder=Path(), encoder=encoder, detector=detector), files


class ShardEmbedder:
    """Embeds shards; made once in every actor.

    A fault of ours (``FacerecError``) is not raised but returned with the shard: it has to reach the user as
    it is, and Ray would wrap it.

    Args:
        order: What to do.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._fault: FacerecError | None = None
        try:
            self._model = self._open()
        except FacerecError as fault:
            self._fault = fault

    def ready(self) -> tuple[bytes, str]:
        """Nothing, and the fault that kept the model from being opened."""
        return b"", describe_fault(self._fault)

    def embed(self, number: int, photos: list[str]) -> tuple[bytes, str]:
        """Embed a shard.

        Args:
            number: Of the shard.
            photos: Its photos.

        Returns:
            What is stored of it (empty where the worker has stored it itself), and a fault as JSON, or "".
        """
        content, fault = b"", self._fault
        try:
            if fault is None:
                content = self._embed(number, photos)
        except FacerecError as error:
            fault = error
        except OSError as error:  # of the place of the shards; a photo's is in its row
            fault = output_error(f"Shard {number} on {socket.gethostname()}", error)
        return content, describe_fault(fault)

    def _open(self) -> FaceModel:
        order = self._order
        check_versions(order.versions, versions())
        if order.sample is not None and not Path(order.folder, order.sample).exists():
            raise InputError(
                f"{socket.gethostname()} does not see {order.sample}.",
                hint="All machines of the cluster must read the photos: put them on a shared disk, under the "
                "same path, or into an object store (s3://...).",
            )
        import ray

        with tempfile.TemporaryDirectory(prefix="facerec-") as folder:  # read into memory, and gone
            for name, content in ray.get(order.files).items():
                (Path(folder) / name).write_bytes(content)
            pack = dataclasses.replace(order.pack, folder=Path(folder))
            return open_model(
                pack, device=order.device, threads=order.threads, detector=not order.options.aligned
            )

    def _embed(self, index: int, photos: list[str]) -> bytes:
        order = self._order
        sources = [name if is_url(name) else os.path.join(order.folder, name) for name in photos]  # noqa: PTH118
        with quiet_decoders():
            results = [
                dataclasses.replace(result, name=name)
                for name, result in zip(
                    photos,
                    embed_photos(sources, self._model, order.options, workers=order.threads + 1),
                    strict=True,
                )
            ]
        shard = make_shard(results, size=self._model.embedding_size, first=0, crops=None)
        content = order.store.pack(shard)
        if not order.store.shared:
            return content
        order.store.store(index, content)
        return b""


def check_versions(driver: Mapping[str, str], worker: Mapping[str, str]) -> None:
    """Refuse to mix results of different versions.

    Raises:
        ResourceError: With every difference.
    """
    wrong = [
        f"{name} {worker.get(name)}, not {driver[name]}"
        for name in driver
        if worker.get(name) != driver[name]
    ]
    if wrong:
        raise ResourceError(
            f"{socket.gethostname()} has {', '.join(wrong)}.",
            hint="Install the same versions on all machines of the cluster as where the job is started.",
        )


def describe_fault(fault: FacerecError | None) -> str:
    """A fault as JSON, the way it travels to the driver; empty for none."""
    if fault is None:
        return ""
    return json.dumps({"exit_code": fault.exit_code, "message": fault.message, "hint": fault.hint})
