"""Peak memory of ``facerec embed`` with few and with many photos, each in a process of its own.

python benchmarks/embed_memory.py PHOTOS --counts 500 2000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from facerec_cli.images import find_images

CHILD = """
import json, resource, sys
from facerec_cli.embed import embed_to_file
summary = embed_to_file([sys.argv[1]], sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
print(json.dumps([summary.photos, summary.embeddings, peak]))
"""


def main() -> None:
    """Run a process for every count and print what each used at most."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--json", type=Path, help="append a line to this file")
    given = parser.parse_args()
    photos = find_images(given.photos)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in given.counts:
            listed = Path(folder) / f"{count}.txt"
            listed.write_text(
                "\n".join(str(Path(path).resolve()) for path in photos[:count]), encoding="utf-8"
            )
            output = str(Path(folder) / f"{count}.npy")
            child = [sys.executable, "-c", CHILD, str(listed), output]
            done = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True)
            used, faces, peak = json.loads(done.stdout.splitlines()[-1])
            print(f"{used:8,} photos {faces:8,} faces {peak:7.0f} MiB", flush=True)
            rows.append({"name": f"{used} photos", "value": peak, "unit": "MiB"})
    if given.json:
        from history import record

        record("embed_memory", rows, {"counts": given.counts}, given.json)


if __name__ == "__main__":
    main()
