"""How the review page works with 5,000 faces, in a headless Chromium: how soon, and how long each act takes.

    python benchmarks/review.py --json benchmarks/results/review.json

The faces are drawn, 112 x 112 pixels with as many bytes as photos have. Half of the groups are single faces.
Acts are real keys. The time of each is the CPU time of the page's own thread (`Performance.getMetrics`,
ThreadTime) from the key to the end of the layout that follows, so it does not depend on what else the machine
does. While the page is scrolled from its beginning to its end, the frames are counted: CPU time a frame, and
by the clock, which does depend on the machine; its load is noted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facerec_cli.review.face_key import face_keys
from facerec_cli.review.page import ReviewFace, ReviewGroup, ReviewPage, ReviewQuestion, write_page
from tests.chromium import Chromium

_SCROLL = """
(async () => {
  const frames = [];
  let before = performance.now();
  const end = () => document.documentElement.scrollHeight - innerHeight;
  for (let at = 0; at < end() && frames.length < 600; at += STEP) {
    scrollTo(0, at);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - before);
    before = now;
  }
  return frames;
})()
"""


def made_page(faces: int) -> ReviewPage:
    """Groups of 1 to 60 drawn faces; every fourth has a name."""
    random = np.random.default_rng(3)
    sizes: list[int] = []
    while sum(sizes) < faces:
        size = 1 if random.random() < 0.5 else 2 + int(random.geometric(0.12))
        sizes.append(min(size, 60, faces - sum(sizes)))
    starts = np.cumsum([0, *sizes])
    keys = face_keys(random.normal(size=(faces, 128)).astype(np.float32))
    noise = [
        cv2.GaussianBlur(random.integers(0, 255, (112, 112, 3)).astype(np.uint8), (0, 0), 1.6)
        for _ in range(64)
    ]
    drawn = [cv2.imencode(".jpg", one, [cv2.IMWRITE_JPEG_QUALITY, 78])[1].tobytes() for one in noise]
    margins = np.sort(random.random(faces) * 0.4)
    return ReviewPage(
        title=f"{faces:,} drawn faces",
        kind="clusters",
        source="photos",
        model="ab" * 32,
        faces=[ReviewFace(f"photos/{at:05d}.jpg", 0, keys[at], float(margins[at])) for at in range(faces)],
        groups=[
            ReviewGroup(tuple(range(start, start + size)), f"Person {at}" if at % 4 == 0 else "", at, ())
            for at, (start, size) in enumerate(zip(starts, sizes, strict=False))
        ],
        questions=[
            ReviewQuestion(at, at + 1, 0.45, at / 1000) for at in range(0, min(600, len(sizes) - 1), 2)
        ],
        pictures=lambda face: drawn[face % len(drawn)],
        apply="facerec cluster photos --apply FILE",
        threshold=0.46,
    )


def measure(faces: int, folder: Path) -> dict[str, Any]:
    """All figures of one size of the page."""
    page = folder / f"{faces}.html"
    start = time.perf_counter()
    write_page(made_page(faces), page)
    written = time.perf_counter() - start
    with Chromium(folder / f"browser-{faces}") as browser:
        browser.call("Performance.enable")

        def busy() -> float:
            """Milliseconds of CPU that the page's thread has taken."""
            metrics = browser.call("Performance.getMetrics")["metrics"]
            return 1000 * next(one["value"] for one in metrics if one["name"] == "ThreadTime")

        def acts(*keys: str, rounds: int = 20) -> dict[str, float]:
            times = []
            for _ in range(rounds):
                before = busy()
                browser.press(*keys)
                browser.run("document.body.offsetHeight")
                times.append(busy() - before)
            return {
                "median_cpu_ms": round(statistics.median(times), 2),
                "longest_cpu_ms": round(max(times), 2),
            }

        browser.open(page.as_uri(), seconds=120)
        browser.wait_for("document.querySelector('.question')")
        opened = busy()
        found: dict[str, Any] = {
            "faces": faces,
            "file_mb": round(page.stat().st_size / 1e6, 2),
            "written_s": round(written, 2),
            "opened_cpu_ms": round(opened, 1),
            "answer": acts("y"),
        }
        before = busy()
        browser.press("2")
        browser.wait_for("document.querySelector('.face img')")
        found["groups_shown_cpu_ms"] = round(busy() - before, 1)
        before = busy()
        frames = browser.run(_SCROLL.replace("STEP", "600"))
        found["scroll"] = {
            "frames": len(frames),
            "cpu_ms_a_frame": round((busy() - before) / len(frames), 2),
            "clock_median_ms": round(statistics.median(frames), 2),
            "clock_p99_ms": round(float(np.quantile(frames, 0.99)), 2),
        }
        browser.run("scrollTo(0, 0)")
        browser.press("ArrowDown")
        found["next_face"] = acts("ArrowRight")
        found["next_group"] = acts("ArrowDown")
        found["select"] = acts(" ")
        browser.press("Escape")
        found["junk"] = acts("j")
        found["undo"] = acts("u")
        found["elements"] = browser.run("document.querySelectorAll('*').length")
        found["images"] = browser.run("document.images.length")
        metrics = browser.call("Performance.getMetrics")["metrics"]
        found["heap_mb"] = round(
            next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize") / 1e6, 1
        )
        assert browser.faults == []
    return found


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--faces", type=int, nargs="+", default=[500, 5000, 20000])
    options.add_argument("--json", type=Path, help="Where to write the figures.")
    asked = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for faces in asked.faces:
            rows.append(measure(faces, Path(folder)))
            print(json.dumps(rows[-1], indent=1))
    made = {"cores": os.cpu_count(), "load": [round(one, 1) for one in os.getloadavg()], "rows": rows}
    if asked.json:
        asked.json.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
