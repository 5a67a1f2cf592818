"""Equal columns have equal scores, wherever they lie and whatever processor multiplies them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from facerec_cli.metrics.cosine_blocks import CosineBlocks, equal_rows


@pytest.mark.parametrize("seed", range(5))
def test_equal_rows_are_numbered(seed):
    random = np.random.default_rng(seed)
    table = random.integers(0, 3, (200, 4)).astype(np.float32) + 1
    group, firsts = equal_rows(table)
    for i, row in enumerate(table):
        same = np.flatnonzero((table == row).all(axis=1))
        if len(same) == 1:
            assert group[i] == -1
        else:
            assert len(set(group[same])) == 1 and firsts[group[i]] == same[0]
    assert set(group) - {-1} == set(range(len(firsts)))


def test_no_row_or_one_row():
    for size in (0, 1):
        group, firsts = equal_rows(np.ones((size, 3), np.float32))
        assert group.tolist() == [-1] * size and not len(firsts)


def test_blocks_are_products_in_which_equal_columns_tie():
    random = np.random.default_rng(0)
    columns, probes = (random.normal(size=(n, 129)).astype(np.float32) for n in (1003, 77))
    columns[[5, 700, 1002]] = columns[40]
    columns[3] = columns[900]
    score, rows = CosineBlocks(probes, columns), np.arange(10, 75)
    for first, stop in ((0, 1003), (0, 64), (64, 701), (701, 1003), (999, 1000)):
        found = score(rows, first, stop)
        np.testing.assert_allclose(found, probes[rows] @ columns[first:stop].T, atol=1e-4)
    whole = score(rows, 0, 1003).copy()
    for equal in ([5, 40, 700, 1002], [3, 900]):
        assert all((whole[:, column] == whole[:, equal[0]]).all() for column in equal)
        alone = score(rows, equal[0], equal[0] + 1)[:, 0]
        np.testing.assert_array_equal(alone, whole[:, equal[0]])


@pytest.mark.parametrize("processor", ["Haswell", "Zen"])
def test_a_model_that_gives_everybody_one_vector_finds_nobody_on_any_processor(processor):
    """OpenBLAS takes the named kernels, of which some add in another order at the edges of a product."""
    program = (
        "import numpy as np\n"
        "from facerec_cli.metrics.identification import evaluate_identification\n"
        "one = np.tile(np.random.default_rng(0).normal(size=129), (1003, 1)).astype(np.float32)\n"
        "found = evaluate_identification(one, np.arange(1003), one[:700], np.arange(700))\n"
        "print(found.cmc[0].hits, found.tied, set(found.outcomes.rank.tolist()))"
    )
    environment = {**os.environ, "OPENBLAS_CORETYPE": processor}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0 700 {1003}"
