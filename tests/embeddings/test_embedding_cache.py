"""The cache of embeddings: damage is a miss, its size is bounded, processes share it."""

from __future__ import annotations

import sqlite3

import numpy as np

from facerec_cli.embeddings.cache import EmbeddingCache, content_key


def test_a_damaged_row_is_a_miss_and_a_damaged_file_is_replaced(tmp_path):
    path = tmp_path / "cache.sqlite"
    key = content_key(b"photo", b"settings")
    cache = EmbeddingCache(path)
    cache.put({key: np.ones(3, np.float32)})
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
    cache.put({key: np.zeros(100, np.float32) for key in keys})  # 40 kB
    cache.close()
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    assert 10 <= len(cache.get(keys)) <= 24
    cache.close()


def test_two_processes_share_the_cache(tmp_path):
    one, two = (EmbeddingCache(tmp_path / "cache.sqlite") for _ in range(2))
    one.put({b"a": np.ones(2, np.float32)})
    two.put({b"b": np.ones(2, np.float32)})
    assert set(one.get([b"a", b"b"])) == set(two.get([b"a", b"b"])) == {b"a", b"b"}
    one.close()
    two.close()
