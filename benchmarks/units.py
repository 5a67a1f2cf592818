"""What a photo costs: CPU time of each stage on one thread, and bytes of what is left of it.

    python benchmarks/units.py PHOTOS... [--json FILE]

CPU time, not clock time, so that other programs on the machine change little. ``docs/scaling.md`` reckons
with these figures. Detection, alignment and encoding are called as the pipeline calls them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from history import record

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.faces import open_model
from facerec_cli.faces.views import open_view
from facerec_cli.images import find_images, open_photo


def cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """Median CPU seconds of a call."""
    taken = []
    for _ in range(rounds + 1):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken[1:])


def main() -> None:
    """Measure and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--count", type=int, default=64, help="photos to take, evenly from all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    found = find_images(wanted.photos)
    paths = [found[index * len(found) // wanted.count] for index in range(wanted.count)]
    model, options = open_model("sface", threads=1), EmbedOptions(faces="largest")

    def read() -> list[Any]:
        return [
            open_view(open_photo(p, max_pixels=options.max_pixels), options.max_side).image for p in paths
        ]

    images = read()
    faces = [max(found, key=lambda face: face.area) if found else None for found in model.detect(images)]
    known = [(image, face) for image, face in zip(images, faces, strict=True) if face is not None]
    crops = np.stack([model.align(image, face) for image, face in known])
    stages: dict[str, Callable[[], object]] = {
        "read": read,
        "detect": lambda: model.detect(images),
        "align": lambda: [model.align(image, face) for image, face in known],
        "encode": lambda: model.encode(crops),
        "pipeline": lambda: list(embed_photos(paths, model, options, workers=1)),
    }
    rows = []
    for stage, work in stages.items():
        cost = 1e3 * cpu_seconds(work, wanted.rounds) / len(paths)
        rows.append({"name": stage, "value": cost, "unit": "ms"})
        print(f"{stage:10} {cost:7.2f} ms of CPU a photo, {1e3 / cost:7.1f} photos/s a core")
    photo = statistics.mean(Path(path).stat().st_size for path in paths)
    vector = crops.shape[0] and model.encode(crops[:1]).nbytes
    crop = statistics.mean(len(cv2.imencode(".jpg", crop)[1]) for crop in crops)
    for name, value in (("photo", photo), ("vector", vector), ("crop as JPEG", crop)):
        rows.append({"name": name, "value": float(value), "unit": "bytes"})
        print(f"{name:14} {value:8,.0f} bytes")
    if wanted.json:
        record("units", rows, {"photos": len(paths), "rounds": wanted.rounds, "threads": 1}, wanted.json)


if __name__ == "__main__":
    main()
