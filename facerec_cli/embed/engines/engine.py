"""What ``embed_to_file`` asks of an engine: to make the shards that are missing, wherever it computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facerec_cli.embed.settings import EmbedOptions, EngineOptions
from facerec_cli.embeddings.shards import Shards
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.progress import Progress
from facerec_cli.registry import ENGINES, load


@dataclass(frozen=True, slots=True)
class StartedModel:
    """A model that an engine is ready to run.

    Attributes:
        pack: The model.
        hash: Its sha256.
        provider: What the encoder runs on.
        workers: Where, for a person: "2 workers on 2 nodes"; empty for this process.
    """

    pack: ModelPack
    hash: str
    provider: str
    workers: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Attributes:
        photos: All inputs of the run.
        step: Inputs of a shard; a whole number of batches, so that a shard's bytes do not depend on who
            makes it and when.
        shards: Numbers of the shards to make.
        store: Where they go.
        options: What to embed and how.
        size: D, the length of an embedding.
        crops: Folder for the aligned crops, or None.
        progress: Told the photos done, those of earlier runs included.
    """

    photos: Sequence[str]
    step: int
    shards: Sequence[int]
    store: Shards
    options: EmbedOptions
    size: int
    crops: Path | None
    progress: Progress

    def inputs(self, index: int) -> Sequence[str]:
        """The photos of a shard."""
        return self.photos[index * self.step : (index + 1) * self.step]

    @property
    def done(self) -> int:
        """Inputs that earlier runs have done."""
        return len(self.photos) - sum(len(self.inputs(index)) for index in self.shards)


class Engine(Protocol):
    """Embeds the shards of a run."""

    def start(
        self, model: str | Path | ModelPack, device: str, threads: int | None, options: EmbedOptions
    ) -> StartedModel:
        """Get ready; every fault of the model, the device and the machines shows here if it can."""

    def run(self, work: Work) -> None:
        """Make ``work.shards`` and store them."""

    def close(self) -> None:
        """Give back what :meth:`start` took."""


def open_engine(options: EngineOptions) -> Engine:
    """The engine that was asked for, not yet started."""
    cluster = {"address": options.address, "actors": options.actors, "actor_gpus": options.actor_gpus}
    made: Engine = load(ENGINES, options.engine, "engine")(**(cluster if options.engine == "ray" else {}))
    return made
