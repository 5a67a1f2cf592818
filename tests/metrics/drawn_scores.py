"""Labeled scores: drawn by Hypothesis, or random ones."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st


@st.composite
def labeled_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, both classes present."""
    kind = draw(st.sampled_from([np.float32, np.float64]))
    grain = draw(st.sampled_from([1, 3, 20, 1000]))
    size = draw(st.integers(2, 120))
    raw = draw(st.lists(st.integers(-grain, grain), min_size=size, max_size=size))
    same = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    same[0], same[1] = True, False
    return (np.array(raw) / grain).astype(kind), np.array(same)


def random_scores(same: int, different: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat([True, False], [same, different])
    return random.normal(labels * 1.5, 1.0), labels
