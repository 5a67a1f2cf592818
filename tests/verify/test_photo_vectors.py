"""The vectors of a list's photos: embedded, or from the cache."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facerec_cli.embed import EmbedOptions, PhotoResult
from facerec_cli.embed.photo_result import EmbeddedFace
from facerec_cli.embeddings.cache import EmbeddingCache
from facerec_cli.verify import photo_faces, photo_vectors

FACES = b"face"


@dataclass
class Pipeline:
    """Stands for ``embed_photos``: photos that start with "face" have a face, "turned" ones after a turn."""

    seen: int = 0

    def __call__(self, sources, model, options, workers=None):
        for source in sources:
            self.seen += 1
            content = source if isinstance(source, bytes) else Path(source).read_bytes()
            if content.startswith(FACES) or (content.startswith(b"turned") and options.rotate == "auto"):
                vector = np.zeros(4, np.float32)
                vector[len(content) % 4] = 1
                yield PhotoResult("p", "ok", faces=(EmbeddedFace(None, vector, 2.0),))
            elif content.startswith(b"broken"):
                yield PhotoResult("p", "unreadable", "not a photo")
            else:
                yield PhotoResult("p", "no_face", "no face was found")


@pytest.fixture
def pipeline(monkeypatch) -> Pipeline:
    fake = Pipeline()
    monkeypatch.setattr(photo_faces, "embed_photos", fake)
    return fake


def model(digest: str = "abc") -> SimpleNamespace:
    encoder, detector = SimpleNamespace(embedding_size=4), SimpleNamespace(min_score=0.6)
    pack = SimpleNamespace(name="fake", encoder=encoder, detector=detector)
    return SimpleNamespace(pack=pack, hash=digest, provider="cpu")


PHOTOS = [b"face1", b"turned", b"nobody", b"broken"]


def test_what_comes_of_each_photo(pipeline):
    made = photo_vectors.embed_list(PHOTOS, model(), EmbedOptions(faces="center"))
    assert made.failed.tolist() == [False, False, True, True]
    assert made.reasons == {2: "no_face: no face was found", 3: "unreadable: not a photo"}
    assert made.vectors[0].tolist() == [0, 1, 0, 0]


def test_a_second_run_takes_everything_but_broken_photos_from_the_cache(pipeline, tmp_path):
    options = EmbedOptions(faces="center")
    runs = []
    for _ in range(2):
        cache = EmbeddingCache(tmp_path / "c" / "cache.sqlite")
        runs.append(photo_vectors.embed_list(PHOTOS, model(), options, cache=cache))
        cache.close()
        runs.append(pipeline.seen)
    first, after_first, second, after_second = runs
    assert np.array_equal(first.vectors, second.vectors)
    assert first.reasons == second.reasons
    assert after_first == 4
    assert after_second == after_first + 1


@pytest.mark.parametrize("kept", [True, False])
def test_an_interruption_keeps_what_is_done_and_says_so(pipeline, tmp_path, kept):
    cache = EmbeddingCache(tmp_path / "cache.sqlite") if kept else None
    photos = [b"face%d" % i for i in range(10)]

    def interrupted_after_three(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    options = EmbedOptions(faces="main")
    with pytest.raises(
        KeyboardInterrupt, match="3 of 10 photos are in the cache" if kept else "nothing is kept"
    ):
        photo_vectors.embed_list(photos, model(), options, cache=cache, progress=interrupted_after_three)
    if cache is not None:
        assert not photo_vectors.embed_list(photos, model(), options, cache=cache).failed.any()
        assert pipeline.seen == 3 + 7
        cache.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    waiting = threading.Timer(20, lambda: os.close(os.open(tmp_path / "a.jpg", os.O_WRONLY | os.O_NONBLOCK)))
    waiting.start()  # lets a reader go that waits all the same
    started = time.monotonic()
    made = photo_vectors.embed_list([tmp_path / "a.jpg"], model(), EmbedOptions(faces="main"), cache=cache)
    waiting.cancel()
    cache.close()
    assert "pipe" in made.reasons[0]
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("digest", "options"),
    [("other", EmbedOptions(faces="center")), ("abc", EmbedOptions(faces="center", flip=True))],
)
def test_another_model_or_setting_does_not_meet_the_cache(pipeline, tmp_path, digest, options):
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    photo_vectors.embed_list(PHOTOS[:1], model(), EmbedOptions(faces="center"), cache=cache)
    photo_vectors.embed_list(PHOTOS[:1], model(digest), options, cache=cache)
    assert pipeline.seen == 2
    cache.close()
