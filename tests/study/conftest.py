"""A folder of drawn people, already aligned, and the smallest study of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from facerec_cli.study.protocol import read_protocol
from facerec_cli.study.study import run_study


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """30 people with 2 to 4 crops: colours and stripes of their own, with noise."""
    root = tmp_path_factory.mktemp("people")
    random = np.random.default_rng(0)
    for person in range(30):
        folder = root / f"person {person:02d}"
        folder.mkdir()
        base = cv2.resize(random.integers(0, 256, (7, 7, 3), np.uint8), (112, 112))
        for photo in range(1 + (person % 4 if person % 4 else 3)):
            noisy = np.clip(base + random.normal(0, 12, base.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{photo}.png"), noisy)
    return root


STUDY = """
[study]
name = "drawn people"
data = "{data}"
aligned = true
seeds = [0, 1]

[split]
seed = {seed}
train = 0.4
validation = 0.2

[test]
photos = 48
photos_each = 4
natural = 0.8
rounds = 100
far = 0.1
fars = [0.1]
subsets = ["clean clean", "clean px16", "natural"]

[validation]
photos = 20

[recipe.backbone]
name = "mobilefacenet"
width = 0.125
embedding_size = 16

[recipe.run]
batch_size = 8
device = "cpu"

[recipe.data]
workers = 0

[recipe.schedule]
steps = 2

[arms.arcface]

[arms.npt]

[arms.twice.loss]
name = "npt"
k = 2
"""


@pytest.fixture
def study_file(people, tmp_path):
    def make(text=STUDY, seed=0):
        path = tmp_path / "study.toml"
        path.write_text(text.format(data=people.as_posix(), seed=seed))
        return path

    return make


@pytest.fixture(scope="session")
def finished(people, tmp_path_factory):
    """A finished study: (folder, what results.json holds, its STUDY.toml)."""
    out = tmp_path_factory.mktemp("study")
    path = out / "study.toml"
    path.write_text(STUDY.format(data=people.as_posix(), seed=0))
    done = run_study(read_protocol(path), out / "out")
    return out / "out", done.results.document(), path
