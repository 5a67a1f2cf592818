"""The cache of embeddings: damage is a miss, its size is bounded, processes share it."""

from __future__ import annotations

import sqlite3
import zlib

import numpy as np

from facerec_cli.embeddings.cache import CachedFace, EmbeddingCache, content_key

MEASURED = np.arange(10, dtype=np.float32)


def a_face(*vector: float) -> CachedFace:
    return CachedFace(np.array(vector, np.float32), MEASURED)


def test_a_damaged_row_is_a_miss_and_a_damaged_file_is_replaced(tmp_path):
    path = tmp_path / "cache.sqlite"
    key = content_key(b"photo", b"settings")
    cache = EmbeddingCache(path)
    cache.put({key: a_face(1, 1, 1)})
    cache.close()
    base = sqlite3.connect(path)
    with base:
        base.execute("UPDATE embedding SET value = substr(value, 1, 9) || x'00000000'")
    base.close()
    cache = EmbeddingCache(path)
    assert cache.get([key]) == {}
    cache.close()
    path.write_bytes(b"this is no database at all" * 100)
    cache = EmbeddingCache(path)
    cache.put({key: "no_face: x"})
    assert cache.get([key]) == {key: "no_face: x"}
    cache.close()


def test_the_cache_is_bounded(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache.sqlite", max_bytes=10_000)
    keys = [content_key(bytes([i]), b"") for i in range(100)]
    cache.put({key: a_face(*[0] * 90) for key in keys})  # 40 kB
    cache.close()
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    assert 10 <= len(cache.get(keys)) <= 24
    cache.close()


def test_two_processes_share_the_cache(tmp_path):
    one, two = (EmbeddingCache(tmp_path / "cache.sqlite") for _ in range(2))
    one.put({b"a": a_face(1, 1)})
    two.put({b"b": a_face(1, 1)})
    assert set(one.get([b"a", b"b"])) == set(two.get([b"a", b"b"])) == {b"a", b"b"}
    one.close()
    two.close()


def test_a_face_comes_back_with_its_measures_and_a_vector_of_an_earlier_version_is_a_miss(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    unknown = MEASURED.copy()
    unknown[3] = np.nan
    cache.put({b"new": CachedFace(np.float32([0.6, 0.8]), unknown), b"old": "no_face: x"})
    cache.close()
    body = b"v" + np.ones(12, "<f4").tobytes()  # as vectors were kept before measures were
    base = sqlite3.connect(tmp_path / "cache.sqlite")
    with base:
        row = (zlib.crc32(body).to_bytes(4, "little") + body, b"old")
        base.execute("UPDATE embedding SET value = ? WHERE key = ?", row)
    base.close()
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    found = cache.get([b"new", b"old"])
    assert list(found) == [b"new"] and found[b"new"].vector.tolist() == np.float32([0.6, 0.8]).tolist()
    np.testing.assert_array_equal(found[b"new"].measures, unknown)
    assert cache.forget([], [np.ones(12, np.float32)]) == 1  # of somebody who is erased
    assert cache.forget([], [np.float32([0.6, 0.8])]) == 1
    assert cache.get([b"new", b"old"]) == {}
    cache.close()
