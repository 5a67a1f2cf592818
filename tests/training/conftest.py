"""A network of 26,000 parameters and a data set of drawn faces: a step takes a tenth of a second."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from facerec_cli.training.compose import changed
from facerec_cli.training.config import Recipe

SMALL = {
    "data.path": "synthetic:12:6",
    "data.workers": 0,
    "backbone.name": "mobilefacenet",
    "backbone.width": 0.125,
    "backbone.embedding_size": 32,
    "run.batch_size": 12,
    "run.device": "cpu",
    "run.log_every": 2,
    "schedule.steps": 8,
    "data.photos_per_identity": 3,
}


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums of several threads are not the same each time; tests of other folders may have asked for them."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small():
    def make(out, **settings) -> Recipe:
        recipe = Recipe()
        for key, value in {**SMALL, "run.out": str(out), **settings}.items():
            recipe = changed(recipe, key.replace("__", "."), value)
        return recipe

    return make


@pytest.fixture
def stop_at():
    """An observer that tells this process to stop, as a cluster does, once a step is logged."""

    def make(step):
        def observe(event):
            if getattr(event, "step", None) == step and type(event).__name__ == "Logged":
                os.kill(os.getpid(), signal.SIGTERM)

        return observe

    return make
