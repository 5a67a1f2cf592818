"""What the C library does with freed memory, counted in page faults."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from facerec_cli.training.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = np.empty(48 << 20, dtype=np.uint8)
    block[:: 4096] = 1
    del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = [faults() for _ in range(3)][-1]
assert keep_freed_memory()
after = [faults() for _ in range(3)][-1]
print(before, after)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_a_block_that_was_freed_is_had_again_without_page_faults():
    small_pages = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, env=small_pages
    ).stdout
    before, after = (int(number) for number in said.split())
    assert before > 1_000  # 48 MB are 12,288 pages
    assert after < before / 10
