"""Make scrfd_recorded.npz: what insightface's SCRFD class returns for the network and photo of the tests.

python tests/faces/record_scrfd.py    (needs insightface; made with 2.1)
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from face_networks import scrfd
from insightface.model_zoo.scrfd import SCRFD
from test_scrfd import RECORDED, photo

with tempfile.TemporaryDirectory() as folder:
    path = scrfd(Path(folder) / "det.onnx")
    boxes, points = SCRFD(str(path)).detect(photo(), input_size=(640, 640))
np.savez_compressed(RECORDED, rows=np.concatenate([boxes, points.reshape(-1, 10)], axis=1))
print(len(boxes), "faces")
