"""Tar shards that are read over the network while training, for data that does not fit a disk.

``https://host/shard-{000000..000127}.tar#classes=85742&photos=5800000``: shards as webdataset lays them
out (see ``tar.py``), with the two numbers that cannot be known without reading everything. Photos come in
the order of shuffled shards through a shuffle buffer, so there are only shuffled batches.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import count, islice
from urllib.parse import parse_qs

import numpy as np

from facerec_cli.data.dataset import ClassNumbers, FaceDataset
from facerec_cli.data.formats.tar import expand_numbers
from facerec_cli.errors import FacerecError, InputError, MissingExtraError, UsageError
from facerec_cli.images.suffixes import IMAGE_SUFFIXES

_BUFFER = 2000  # photos of which the next one is drawn; about 12 MB of 112 x 112 JPEGs
_STREAM = 3  # apart from the random streams of samplers and augmentation
_SAFE = re.compile(r"[\w./:%+=,@~?&{}-]+")  # what is handed on to curl


class TarStream(FaceDataset):
    """Shards behind URLs.

    Args:
        spec: What the user typed.
        shards: URLs.
        classes: How many classes the labels speak of.
        photos: How many photos all shards hold together; fixes the length of an epoch.
    """

    format = "stream"

    def __init__(self, spec: str, shards: list[str], classes: int, photos: int) -> None:
        self.spec = spec
        self.shards = shards
        self.class_names = ClassNumbers(classes)
        self.labels = np.broadcast_to(np.int64(-1), (photos,))  # unknown until a photo arrives

    @classmethod
    def open(cls, spec: str) -> TarStream:
        """Read the spec; nothing is fetched yet."""
        pattern, _, facts = spec.partition("#")
        numbers = parse_qs(facts)
        values = [numbers.get(name, [""])[0] for name in ("classes", "photos")]
        if not all(value.isdecimal() and int(value) > 0 for value in values):
            raise UsageError(
                f"{spec} does not say how many classes and photos it streams.",
                hint="Write URL-{000000..000127}.tar#classes=85742&photos=5800000",
            )
        if not _SAFE.fullmatch(pattern):
            raise UsageError(
                f"{pattern} holds characters that do not belong in a URL.", hint="Encode them as %XX."
            )
        return cls(spec, list(expand_numbers(pattern)), *map(int, values))

    def read(self, index: int) -> bytes:
        """Refuse: a stream has no random access."""
        raise InputError(
            f"{self.spec} is a stream and can only be trained on.",
            hint="Copy the shards to a disk for the rest.",
        )

    def name(self, index: int) -> str:
        """A number; names are known only as photos arrive."""
        return f"photo {index}"

    def samples(
        self, *, seed: int, epoch: int, reader: int, readers: int
    ) -> Iterator[tuple[str, bytes, int]]:
        """Photos without end for one of ``readers`` readers: name, encoded photo, label.

        Raises:
            InputError: A shard cannot be fetched, or holds no labeled photos.
            UsageError: There are fewer shards than readers.
        """
        if len(self.shards) < readers:
            raise UsageError(
                f"{len(self.shards)} shards cannot be shared by {readers} readers.",
                hint="Use fewer --workers or processes, or write smaller shards.",
            )
        for turn in count():
            order = np.random.default_rng([seed, _STREAM, epoch, turn]).permutation(len(self.shards))
            shards = [self.shards[number] for number in order[reader::readers]]
            yield from _shuffled(self._photos(shards), random.Random(f"{seed} {epoch} {turn} {reader}"))

    def _photos(self, shards: list[str]) -> Iterator[tuple[str, bytes, int]]:
        """The photos of some shards, in their order."""
        try:
            import webdataset
        except ImportError as fault:
            raise MissingExtraError("webdataset", extra="train", purpose="streaming tar shards") from fault
        empty = True
        try:
            for sample in webdataset.DataPipeline(
                webdataset.SimpleShardList(shards), webdataset.tarfile_to_samples()
            ):
                empty = False
                yield self._sample(sample)
        except FacerecError:
            raise
        except Exception as fault:  # of the network, of curl, of tar, of whatever reads the shards
            raise InputError(
                f"{fault.args[-1] if fault.args else shards[0]} cannot be read: {type(fault).__name__}.",
                hint="Fetch the URL with curl to see why.",
            ) from fault
        if empty:
            raise InputError(f"{shards[0]} holds no photos.", hint="Shards hold key.jpg and key.cls.")

    def _sample(self, sample: dict[str, object]) -> tuple[str, bytes, int]:
        key = str(sample["__key__"])
        data = next((value for name, value in sample.items() if f".{name.lower()}" in IMAGE_SUFFIXES), None)
        written = sample.get("cls")
        if not isinstance(data, bytes) or not isinstance(written, bytes) or not written.strip().isdigit():
            raise InputError(
                f"{key} of {self.spec} has no photo or no class number.", hint="It needs .jpg and .cls."
            )
        label = int(written)
        if label >= self.num_classes:
            raise InputError(
                f"{key} of {self.spec} is labeled {label:,}, but there are {self.num_classes:,} classes.",
                hint="Correct classes= in the data's name.",
            )
        return key, data, label


def _shuffled(
    photos: Iterator[tuple[str, bytes, int]], draw: random.Random
) -> Iterator[tuple[str, bytes, int]]:
    """The same photos, each drawn from the next ``_BUFFER``."""
    buffer = list(islice(photos, _BUFFER))
    draw.shuffle(buffer)
    for photo in photos:
        place = draw.randrange(len(buffer))
        yield buffer[place]
        buffer[place] = photo
    yield from buffer
