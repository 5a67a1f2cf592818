"""Fixtures of the tests of search engines."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A head with one CPU; the test adds the node that it kills."""
    if find_spec("ray") is None:
        pytest.skip("needs ray: pip install 'facerec-cli[ray]'")
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("needs POSIX signals")
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_MODE", "disabled")  # or Ray leaves a token in the home folder
    patch.setenv("RAY_worker_niceness", "0")  # or a busy machine starves the workers
    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=node)
    try:
        yield started
    finally:
        started.shutdown()
        patch.undo()
