"""One arm with one seed: train, go part of the way back to the first weights if that is better, embed.

A finished run is known by a hash of everything that it depends on, so that a study goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli._version import __version__
from facerec_cli.files import atomic_write, write_file
from facerec_cli.settings import to_tables
from facerec_cli.study.embeddings import device_of, embed_photos, first_network
from facerec_cli.study.first_weights import (
    chosen_network,
    shared_first_evaluation,
    shared_means,
    starts_at_means,
)
from facerec_cli.study.prepare import Materials
from facerec_cli.study.protocol import BEFORE, Protocol, ValidationSettings
from facerec_cli.training.compose import changed
from facerec_cli.training.config import Recipe
from facerec_cli.untrusted import parse_json

RECORD, EMBEDDINGS = "run.json", "embeddings.npz"
_TRAINED, _BEGUN = "trained.json", "training.key"
#: Files by which a run that was begun is known.
TRACES = (RECORD, _TRAINED, _BEGUN)


@dataclass(frozen=True, slots=True)
class Job:
    """One arm with one seed.

    Attributes:
        arm: Its name, or ``BEFORE``.
        seed: Its seed.
        recipe: What to train.
        folder: Where its files go.
        settings: How the interpolation is chosen.
        materials: What is shared.
        threads: CPU threads; None: all.
    """

    arm: str
    seed: int
    recipe: Recipe
    folder: Path
    settings: ValidationSettings
    materials: Materials
    threads: int | None

    def full_recipe(self) -> Recipe:
        """The recipe with its data, seed and folder."""
        recipe = changed(self.recipe, "data.path", str(self.materials.train))
        return changed(changed(recipe, "run.out", str(self.folder)), "run.seed", self.seed)

    def recipe_to_train(self) -> Recipe:
        """:meth:`full_recipe`, with the file of means where the study has made them."""
        recipe, means = self.full_recipe(), self.materials.means
        shared = means is not None and starts_at_means(recipe)
        return changed(recipe, "loss.class_weights", str(means)) if shared else recipe

    def training_key(self) -> str:
        """Hash of what the training depends on."""
        recipe = to_tables(self.full_recipe())
        del recipe["run"]["out"], recipe["data"]["path"]
        return _hash([__version__, recipe, self.materials.train_hash, self.materials.first_hash])

    def key(self) -> str:
        """Hash of what the embeddings depend on."""
        shared = dataclasses.asdict(self.materials)
        for known in (
            "crops",
            "train",
            "means",
            "first",
            "own",
        ):  # where files are, and what follows from the rest
            del shared[known]
        return _hash([self.training_key(), self.arm, shared, dataclasses.asdict(self.settings)])

    def record(self) -> dict[str, Any] | None:
        """What the finished run wrote; None where it is not finished, or belongs to other settings."""
        try:
            found = parse_json((self.folder / RECORD).read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(found, dict):
            return None
        return found if found.get("key") == self.key() and (self.folder / EMBEDDINGS).is_file() else None

    def is_of_another(self) -> bool:
        """Whether its folder holds work, finished or begun, that this job cannot use and would throw away."""
        found = {name: _key_in(self.folder / name) for name in TRACES}
        wanted = dict.fromkeys(TRACES, self.training_key()) | {RECORD: self.key()}
        return any(found[name] is not None and found[name] != wanted[name] for name in TRACES)

    def train(self, told_to_stop: Callable[[], None]) -> float:
        """Train, or go on; returns seconds, also of a training that an earlier call finished."""
        from facerec_cli.images import quiet_decoders
        from facerec_cli.training.report import Event, Stopping
        from facerec_cli.training.train import train

        stopping = False

        def listen(event: Event) -> None:
            nonlocal stopping
            if isinstance(event, Stopping):
                stopping = True
                told_to_stop()

        key, done = self.training_key(), self.folder / _TRAINED
        if done.is_file() and (self.folder / "best.pt").is_file():
            with suppress(ValueError, KeyError, TypeError):  # damaged: the training is gone on with
                found = parse_json(done.read_bytes())
                if found["key"] == key:
                    return float(found["seconds"])
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = self.folder / _BEGUN
        same = begun.is_file() and begun.read_text() == key
        done.unlink(missing_ok=True)  # best.pt will be another one before it is written again
        write_file(begun, key.encode())
        with quiet_decoders():
            seconds = train(self.recipe_to_train(), resume=same, force=not same, observer=listen).seconds
        (self.folder / "last.pt").unlink(missing_ok=True)  # best.pt has the network; the rest is large
        write_file(done, json.dumps({"key": key, "seconds": seconds}).encode())
        if stopping:  # in its last step: this training is whole, but nobody wants the next one
            raise KeyboardInterrupt
        return seconds


def make_jobs(
    protocol: Protocol,
    materials: Materials,
    out: Path,
    *,
    threads: int | None = None,
) -> list[Job]:
    """The runs: the untouched network first, then seed by seed all arms, so that early ends compare."""
    first = next(iter(protocol.arms.values()))
    jobs = [(BEFORE, 0, first)] if protocol.init else []
    jobs += [(name, seed, recipe) for seed in protocol.study.seeds for name, recipe in protocol.arms.items()]
    return [
        Job(
            name,
            seed,
            recipe,
            out / "runs" / f"{name}-{seed}",
            protocol.validation,
            materials.of(name),
            threads,
        )
        for name, seed, recipe in jobs
    ]


def share_start(jobs: Sequence[Job], out: Path) -> list[Job]:
    """The same jobs, with the means and the first evaluation that they share, from ``out`` if they are there.

    Raises:
        InputError: A crop cannot be read.
    """
    trained = [job for job in jobs if job.arm != BEFORE and job.recipe.backbone.init]
    if not trained:
        return list(jobs)
    means: dict[Path, Path] = {}  # of each list that is trained on
    for job in trained:
        if starts_at_means(job.recipe) and job.materials.train not in means:
            means[job.materials.train] = shared_means(job.recipe, job.materials, out)
    first = None
    if trained[0].settings.interpolate != (1.0,):
        first = shared_first_evaluation(trained[0].recipe, trained[0].settings, trained[0].materials, out)
    return [
        dataclasses.replace(
            job,
            materials=dataclasses.replace(job.materials, means=means.get(job.materials.train), first=first),
        )
        for job in jobs
    ]


def perform(job: Job, told_to_stop: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Do one job, or return what it wrote when it was done before.

    Args:
        job: The job.
        told_to_stop: Is called when a training is told to stop, which it does after its step. The call comes
            between any two lines, so it must not print.

    Raises:
        FacerecError: The training cannot start or go on.
        KeyboardInterrupt: It was told to stop; it can be gone on with.
    """
    done = job.record()
    if done is not None:
        return done
    import torch

    if job.threads:
        torch.set_num_threads(job.threads)
    began = time.monotonic()
    record: dict[str, Any] = {"key": job.key(), "arm": job.arm, "seed": job.seed}
    if job.arm == BEFORE:
        network = first_network(job.recipe)
    else:
        record["seconds_training"] = job.train(told_to_stop)
        network, facts = chosen_network(job.recipe, job.folder, job.settings, job.materials)
        record |= facts
        if job.materials.means and starts_at_means(job.recipe):
            record["recipe"]["loss"]["class_weights"] = "means"  # not the file that they were kept in
    found = embed_photos(network, device_of(job.recipe), job.materials)
    job.folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(job.folder / EMBEDDINGS) as stream:
        np.savez(stream, **found)  # type: ignore[arg-type]
    record["seconds"] = time.monotonic() - began
    write_file(job.folder / RECORD, json.dumps(record, indent=1).encode())
    return record


def _key_in(path: Path) -> str | None:
    """The key that a run left in a file; None where there is none that can be read."""
    try:
        text = path.read_text("utf-8")
        return str(json.loads(text)["key"]) if path.suffix == ".json" else text
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hash(values: Sequence[Any]) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
