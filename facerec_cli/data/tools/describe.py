"""What a data set holds (``facerec data info``)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.errors import InputError

_SAMPLE = 64  # photos whose size is looked at


def describe(dataset: FaceDataset) -> dict[str, Any]:
    """Counts, photos per person and photo sizes, from labels and a few dozen photos.

    Returns:
        A JSON-able mapping: data, format, photos, people, photos_per_person (min, quartiles, max, mean),
        people_with_one_photo, people_without_photos, sizes, warnings.
    """
    counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
    having = counts[counts > 0]
    low, quarter, median, three, high = np.percentile(having, [0, 25, 50, 75, 100]).tolist()
    sizes: Counter[str] = Counter()
    for index in np.unique(np.linspace(0, len(dataset) - 1, _SAMPLE).astype(int)):
        try:
            height, width = dataset.image(int(index)).shape[:2]
            sizes[f"{width} x {height}"] += 1
        except InputError:
            sizes["broken"] += 1
    return {
        "data": dataset.spec,
        "format": dataset.format,
        "photos": len(dataset),
        "people": len(having),
        "classes": dataset.num_classes,
        "photos_per_person": {
            "min": int(low), "quartile_1": quarter, "median": median, "quartile_3": three,
            "max": int(high), "mean": float(having.mean()),
        },
        "people_with_one_photo": int((counts == 1).sum()),
        "people_without_photos": int((counts == 0).sum()),
        "sizes": dict(sizes.most_common()),
        "warnings": list(dataset.warnings),
    }  # fmt: skip
