"""Tar shards fetched from a web server while they are trained on."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections import Counter
from functools import partial

import pytest
import torch

from facerec_cli.data import open_dataset
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.data.loading.augment import Augment
from facerec_cli.data.loading.loader import build_loader
from facerec_cli.errors import InputError, UsageError

pytest.importorskip("webdataset")
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset fetches with curl")

SHARDS, EACH = 4, 12


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *arguments):
        pass


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, write_tar):
    folder = tmp_path_factory.mktemp("web")
    source = SyntheticDataset(6, 8)
    for shard in range(SHARDS):
        members = {}
        for index in range(shard * EACH, (shard + 1) * EACH):
            members[f"{index:06d}.cls"] = str(source.labels[index]).encode()
            members[f"{index:06d}.png"] = source.read(index)
        write_tar(folder / f"s-{shard:02d}.tar", members)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def spec(url: str, classes: int = 6, photos: int = 48) -> str:
    return f"{url}/s-{{00..{SHARDS - 1:02d}}}.tar#classes={classes}&photos={photos}"


def epoch(dataset, number=0, start=0, **settings):
    loader = build_loader(dataset, batch_size=6, seed=2, augment=Augment(flip=0.5), **settings)
    return list(loader.epoch(number, start=start))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_of_whole_labelled_photos_is_repeatable_and_resumable(url, workers):
    dataset = open_dataset(spec(url))
    assert (len(dataset), dataset.num_classes) == (48, 6)
    made = epoch(dataset, workers=workers)
    assert len(made) == 8
    assert all(batch.images.shape == (6, 3, 112, 112) for batch in made)
    again = epoch(dataset, start=5, workers=workers)
    assert len(again) == 3
    for one, other in zip(made[5:], again, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
    assert not torch.equal(made[0].labels, epoch(dataset, 1, workers=workers)[0].labels)
    source = SyntheticDataset(6, 8)
    photos = {source.image(index).tobytes(): int(source.labels[index]) for index in range(48)}
    for batch in epoch(dataset, workers=workers):
        for image, label in zip(batch.images, batch.labels, strict=True):
            one, mirrored = (i.permute(1, 2, 0).numpy().tobytes() for i in (image, image.flip(2)))
            assert photos.get(one, photos.get(mirrored)) == label


def test_ranks_read_different_shards(url):
    dataset = open_dataset(spec(url))
    seen = []
    for rank in range(2):
        own = epoch(dataset, rank=rank, world_size=2)
        seen.append(Counter(index for batch in own for index in batch.indices.tolist()))
    assert not set(seen[0]) & set(seen[1])


def test_what_a_stream_cannot_do_is_refused(url):
    dataset = open_dataset(spec(url))
    with pytest.raises(UsageError, match="shuffled batches only"):
        build_loader(dataset, batch_size=6, sampler="identities")
    with pytest.raises(UsageError, match="4 shards cannot be shared by 8 readers"):
        epoch(dataset, world_size=4, workers=2)
    with pytest.raises(InputError, match="can only be trained on"):
        dataset.read(0)
    with pytest.raises(InputError, match="labeled 5, but there are 5 classes"):
        epoch(open_dataset(spec(url, classes=5)))
    with pytest.raises(UsageError, match="how many classes and photos"):
        open_dataset(f"{url}/s-00.tar")
    with pytest.raises(UsageError, match="do not belong in a URL"):
        open_dataset(f"{url}/$(reboot).tar#classes=5&photos=5")


def test_a_shard_that_cannot_be_fetched_ends_the_run(url):
    with pytest.raises(InputError, match=r"absent-00\.tar cannot be read"):
        epoch(open_dataset(f"{url}/absent-00.tar#classes=5&photos=50"))
