"""The nearest of a gallery are those of a full stable sort, whatever the tiles, blocks and threads."""

from __future__ import annotations

import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_cli import runtime
from facerec_cli.errors import InputError
from facerec_cli.metrics import search
from facerec_cli.metrics.search import top_k

Answer = tuple[np.ndarray, np.ndarray]


def full_sort(gallery: np.ndarray, probes: np.ndarray, k: int, live: np.ndarray | None = None) -> Answer:
    """All scores in float64, rounded to float32 and sorted, of equal ones the lower row first."""
    probe, row = np.indices((len(probes), len(gallery))).reshape(2, -1)
    wide = np.einsum("pd,pd->p", probes[probe].astype(np.float64), gallery[row].astype(np.float64))
    scores = wide.reshape(len(probes), len(gallery)).astype(np.float32)
    if live is not None:
        scores[:, ~live] = -np.inf
    scores = np.pad(scores, ((0, 0), (0, k)), constant_values=-np.inf)
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, rows, axis=1)
    return np.where(best == -np.inf, -1, rows), best


def assert_same(answer: Answer, expected: Answer) -> None:
    np.testing.assert_array_equal(answer[1], expected[1])
    np.testing.assert_array_equal(answer[0], expected[0])
    assert answer[0].dtype == np.int64 and answer[1].dtype == np.float32


def units(random: np.random.Generator, count: int, dimensions: int) -> np.ndarray:
    vectors = random.standard_normal((count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def small_tiles(scores: int, probes: int = 5, per_pass: int = 1 << 14) -> mock._patch_dict:
    return mock.patch.dict(
        vars(search),
        _SCORES=max(scores, probes),
        _PROBES=probes,
        _MOST_ROWS=scores,
        _PASS=per_pass,
        _PAIRS_AT_ONCE=7,
    )


@st.composite
def vectors(draw: st.DrawFn, count: int, dimensions: int) -> np.ndarray:
    """Whole numbers with many equal scores, directions with none, or either with copies and odd lengths."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["whole", "unit", "copies", "tiny", "long", "zero", "mixed"]))
    if kind == "whole":
        return random.integers(-2, 3, (count, dimensions)).astype(np.float32)
    drawn = units(random, count, dimensions)
    if kind == "copies" and count:
        return drawn[random.integers(0, max(1, count // 8), count)]
    lengths = {"tiny": 1e-30, "long": 1e15, "zero": 0}.get(kind, 1)
    if kind == "mixed":
        lengths = 10.0 ** random.integers(-22, 9, (count, 1))
    return np.asarray(drawn * lengths, np.float32)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_answer_is_that_of_a_full_stable_sort(data: st.DataObject) -> None:
    count, probes, k = (data.draw(st.integers(low, high)) for low, high in ((0, 90), (0, 25), (1, 100)))
    dimensions = data.draw(st.sampled_from([1, 2, 3, 8, 17]))
    gallery, wanted = data.draw(vectors(count, dimensions)), data.draw(vectors(probes, dimensions))
    live = data.draw(st.none() | st.lists(st.booleans(), min_size=count, max_size=count).map(np.array))
    live = None if live is None else live.astype(bool)
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=3)))
    blocks = np.split(gallery, cuts)  # one where there is nothing to cut
    if data.draw(st.booleans()):
        blocks, wanted = [np.asfortranarray(block) for block in blocks], np.asfortranarray(wanted)
    threads = data.draw(st.sampled_from([None, 1, 2, 3]))
    with small_tiles(
        data.draw(st.integers(1, 400)), data.draw(st.integers(1, 20)), data.draw(st.integers(1, 30))
    ):
        answer = top_k(blocks, wanted, k, live=live, threads=threads)
    assert_same(answer, full_sort(gallery, wanted, k, live))


def test_a_pair_has_one_score_wherever_it_comes() -> None:
    random = np.random.default_rng(3)
    gallery, probes = units(random, 3000, 128), units(random, 40, 128)
    gallery[1500:] = gallery[:1500]  # so each has an equal score in another tile, and the lower row is first
    rows, scores = top_k(gallery, probes, 20)
    assert (rows[:, ::2] + 1500 == rows[:, 1::2]).all() and (scores[:, ::2] == scores[:, 1::2]).all()
    np.testing.assert_allclose(scores, np.sort(probes @ gallery.T)[:, :-21:-1], rtol=0, atol=1e-6)
    for threads, tile, width in ((1, 300, 7), (2, 5000, 40), (4, 1 << 12, 1)):
        with small_tiles(tile, width):
            assert_same(top_k(np.split(gallery, [7, 1400]), probes, 20, threads=threads), (rows, scores))
    for probe in range(3):
        assert_same(top_k(gallery, probes[probe : probe + 1], 20), (rows[[probe]], scores[[probe]]))


@pytest.mark.parametrize("order", ["falling", "rising", "near", "constant", "nothing"])
def test_no_order_of_the_gallery_changes_the_answer(order: str) -> None:
    random = np.random.default_rng(5)
    gallery, probe = units(random, 2500, 16), units(random, 1, 16)
    probes = np.concatenate([probe, probe, probe * 0, units(random, 600, 16)])
    falling = gallery[np.argsort(-(gallery @ probe[0]), kind="stable")]
    gallery = {
        "falling": falling,
        "rising": falling[::-1],
        "near": probe[0] + 1e-7 * gallery,  # whose scores differ by less than a float32 product tells
        "constant": falling * 0 + probe,
        "nothing": falling * 0,
    }[order]
    with small_tiles(1 << 12, 64):
        assert_same(top_k(gallery, probes, 4), full_sort(gallery, probes, 4))


def test_without_threadpoolctl_blas_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(7)
    gallery, probes = units(random, 4000, 32), units(random, 20, 32)
    expected = full_sort(gallery, probes, 6)
    assert_same(top_k(gallery, probes, 6, threads=2), expected)
    monkeypatch.setattr(runtime, "_blas", lambda: None)
    with small_tiles(1 << 12):
        assert_same(top_k(gallery, probes, 6, threads=2), expected)


def test_a_memory_map_is_read_in_place(tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    gallery, probes = units(random, 500, 8), units(random, 9, 8)
    np.save(tmp_path / "vectors.npy", gallery)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert not mapped.flags.writeable
    assert_same(top_k([mapped[:200], mapped[200:]], probes, 3), full_sort(gallery, probes, 3))


def test_progress_ends_with_all_probes() -> None:
    told: list[tuple[int, int | None]] = []
    x = np.eye(5, dtype=np.float32)
    rows, scores = top_k(x, x[[3, 1]], 1, progress=lambda done, total=None: told.append((done, total)))
    assert rows.tolist() == [[3], [1]] and scores.tolist() == [[1.0], [1.0]]
    assert told == [(2, 2)]
    told.clear()
    with small_tiles(10, 5, per_pass=2):
        top_k(x, x, 1, progress=lambda done, total=None: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told) and told[-1] == (5, 5)


def test_an_empty_gallery_finds_nobody_and_no_probe_gives_no_answer() -> None:
    x = np.eye(3, dtype=np.float32)
    for gallery in (x[:0], [], [x[:0], x[:0]]):
        rows, scores = top_k(gallery, x, 2)
        assert rows.tolist() == [[-1, -1]] * 3 and (scores == -np.inf).all()
    assert top_k(x, x, 2, live=np.zeros(3, bool))[0].tolist() == [[-1, -1]] * 3
    assert top_k(x, x[:0], 2)[0].shape == (0, 2)


def test_what_cannot_be_searched_is_refused() -> None:
    x = np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match="3 dimensions, the probes' 2"):
        top_k(x, x[:, :2], 1)
    with pytest.raises(InputError, match="at least 1"):
        top_k(x, x, 0)
    with pytest.raises(InputError, match="3 rows is said to have 2"):
        top_k(x, x, 1, live=np.ones(2, bool))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e30])
def test_a_number_that_is_not_one_is_refused_but_in_rows_that_are_not_live(number: float) -> None:
    x = np.tile(np.eye(4, dtype=np.float32), (40, 1))
    bad = x.copy()
    bad[101, 2] = number
    with small_tiles(64, 16), warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="row 101 of the gallery"):
            top_k(bad, x, 1)
        with pytest.raises(InputError, match="probe 101 "):
            top_k(x, bad, 1)
        live = np.arange(len(x)) != 101
        assert_same(top_k(bad, x, 50, live=live), full_sort(x, x, 50, live))
