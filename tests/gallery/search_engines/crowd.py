"""Made-up people with faces, for tests of search engines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.metrics.scores import unit_vectors

MODEL = ModelInfo("tiny", "ab" * 32)


@dataclass
class Crowd:
    """People in two blocks with free rows, in another order than their rows; three faces each."""

    people: EnrolledPeople
    all_faces: NDArray[np.float32]  # (N, 3, D)

    def faces(self, person: int) -> NDArray[np.float32]:
        return self.all_faces[person]

    def probes(self, count: int, seed: int = 5) -> NDArray[np.float32]:
        """Half of them new photos of the first people, half strangers."""
        random = np.random.default_rng(seed)
        dimensions = self.all_faces.shape[2]
        mated = self.all_faces[: count // 2, 0] + noise(random, (count // 2, dimensions))
        return unit_vectors(np.concatenate([mated, noise(random, (count - count // 2, dimensions))]))


def noise(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)


def crowd(count: int = 300, dimensions: int = 32, seed: int = 1) -> Crowd:
    random = np.random.default_rng(seed)
    centers = noise(random, (count, 1, dimensions))
    faces = centers + 0.5 * noise(random, (count, 3, dimensions))
    faces /= np.linalg.norm(faces, axis=2, keepdims=True)
    templates = unit_vectors(faces.mean(axis=1))
    person = np.full(count + 20, -1, np.int64)
    taken = np.sort(random.permutation(count + 20)[:count])
    person[taken] = random.permutation(count)
    rows = np.zeros((count + 20, dimensions), np.float32)
    rows[taken] = templates[person[taken]]
    names = tuple(f"person {i}" for i in range(count))
    blocks = (rows[: count // 3], rows[count // 3 :])
    return Crowd(EnrolledPeople("staff", names, blocks, person, np.full(count, 3), MODEL), faces)
