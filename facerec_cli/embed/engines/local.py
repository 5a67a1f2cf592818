"""The engine of one machine: the pipeline in this process, one shard after the other without a pause."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path

from facerec_cli.embed.engines.engine import StartedModel, Work
from facerec_cli.embed.photo_result import make_shard
from facerec_cli.embed.pipeline import embed_photos
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.errors import UsageError
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.runtime import usable_cores


class LocalEngine:
    """Runs in this process, on as many threads as it is given."""

    _model: FaceModel
    _workers: int

    def start(
        self, model: str | Path | ModelPack, device: str, threads: int | None, options: EmbedOptions
    ) -> StartedModel:
        """Open the model on all threads; one batch more than those is under way, so that none runs dry."""
        total = usable_cores() if threads is None else threads
        if total < 1:
            raise UsageError(f"--threads {threads} is below 1.")
        opened = open_model(model, device=device, threads=total, detector=not options.aligned)
        self._model, self._workers = opened, total + 1
        return StartedModel(opened.pack, opened.hash, opened.provider)

    def run(self, work: Work) -> None:
        """Embed all photos that are left as one stream, and cut it into shards."""
        if work.crops is not None:
            work.crops.mkdir(parents=True, exist_ok=True)
        done = work.done
        work.progress(done, len(work.photos))
        photos = [photo for index in work.shards for photo in work.inputs(index)]
        with closing(
            embed_photos(
                photos, self._model, work.options, workers=self._workers, keep_crops=work.crops is not None
            )
        ) as results:
            for index in work.shards:
                gathered = []
                for result in islice(results, len(work.inputs(index))):
                    gathered.append(result)
                    done += 1
                    work.progress(done, len(work.photos))
                shard = make_shard(gathered, size=work.size, first=index * work.step, crops=work.crops)
                work.store.store(index, work.store.pack(shard))

    def close(self) -> None:
        """The model goes with the process."""
