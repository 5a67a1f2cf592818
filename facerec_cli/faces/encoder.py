"""Encoders: what turns aligned crops into embeddings, and a pack's own on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import ModelError
from facerec_cli.faces.preprocess import network_input
from facerec_cli.faces.runtime.session import Network
from facerec_cli.packs.manifest import EncoderSpec
from facerec_cli.packs.onnx_encoder import check_encoder, whole_shift
from facerec_cli.packs.onnx_file import inspect_onnx


class Encoder(Protocol):
    """Turns aligned crops into embeddings: an opened model, a backbone in torch, an exported graph."""

    def encode(self, crops: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Embed aligned crops.

        Args:
            crops: (N, H, W, 3) uint8 BGR, in the encoder's input size.

        Returns:
            (N, D) float32, raw embeddings unless the encoder normalizes them.
        """


class OnnxEncoder:
    """A pack's recognition network on one device, fed as its manifest says.

    Args:
        spec: The manifest's encoder table.
        path: Its ONNX file.
        device: See ``runtime.session.Network``.
        threads: Likewise.
        gpu: Likewise.

    Attributes:
        network: The network; ``network.rows`` limits the crops of one call.
        outside: What the file says of itself.

    Raises:
        UsageError: Unknown device.
        ModelError: The file is not the network that ``spec`` describes, or cannot be run.
    """

    def __init__(
        self, spec: EncoderSpec, path: Path, *, device: str, threads: int | None, gpu: int = 0
    ) -> None:
        self.spec, self.path = spec, path
        self.outside = inspect_onnx(path)
        port = check_encoder(
            self.outside,
            layout=spec.layout,
            embedding_size=spec.embedding_size,
            input_size=spec.input_size,
            output=spec.output_name,
        )
        self._dtype = self.outside.input_ports[0].dtype
        if np.dtype(self._dtype).kind in "iu":
            whole_shift(spec, self._dtype)  # refuses what cannot be applied
        only = port.name if len(self.outside.output_ports) > 1 else None
        self.network = Network(path, device=device, threads=threads, only=only, gpu=gpu)

    def encode(self, crops: NDArray[np.uint8], batch_size: int = 16) -> NDArray[np.float32]:
        """(N, H, W, 3) uint8 BGR crops -> (N, D) float32.

        Raises:
            ModelError: The network fails, or gives something else than a vector for each crop.
        """
        out = np.empty((len(crops), self.spec.embedding_size), np.float32)
        runs = self.network.run(
            len(crops),
            lambda span, empty: network_input(crops[span], self.spec, empty, dtype=self._dtype),
            batch_size=batch_size,
        )
        for span, (embeddings, *_) in runs:
            out[span] = self._rows(embeddings, len(out[span]))
        return out

    def _rows(self, output: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """What the network gave, as (count, D): axes of length one are dropped, nothing is moved."""
        wide = [size for size in output.shape[1:] if size != 1]
        if output.shape[:1] == (count,) and wide == [self.spec.embedding_size]:
            return output.reshape(count, -1)
        if count == 1 and output.shape == (self.spec.embedding_size,):
            return output[None]
        what = "one crop" if count == 1 else f"{count} crops"
        raise ModelError(
            f"{self.path} gives {output.shape} for {what}, not ({count}, {self.spec.embedding_size}); its "
            "manifest does not fit it, or the crops of a batch are not its first axis.",
            hint="Export it again with an output of (N, size of the embedding) and a dynamic batch.",
        )
