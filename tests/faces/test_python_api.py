"""The public interface: every name exists, costs nothing to import, and docs/python-api.md runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import facerec_cli


def test_every_public_name_is_there_and_sorted() -> None:
    assert facerec_cli.__all__ == sorted({*facerec_cli._PUBLIC, "__version__"})
    for name in facerec_cli.__all__:
        assert getattr(facerec_cli, name).__doc__
    assert set(facerec_cli.__all__) <= set(dir(facerec_cli))
    with pytest.raises(AttributeError, match="no attribute 'open_modle'"):
        _ = facerec_cli.open_modle


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, facerec_cli; print({'numpy', 'cv2', 'onnx', 'onnxruntime', 'typer'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_documents_examples_run(repository: Path, tmp_path: Path) -> None:
    """All blocks run as they stand, on two photos of one person."""
    astronaut = pytest.importorskip("skimage.data").astronaut()
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    cv2.imwrite(str(paths[0]), astronaut[..., ::-1])
    cv2.imwrite(str(paths[1]), astronaut[:400, 60:420, ::-1] // 2 + 60)
    text = (repository / "docs" / "python-api.md").read_text(encoding="utf-8")
    names: dict[str, object] = {"paths": paths, "folder": tmp_path}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.S):
        exec(compile(block, "docs/python-api.md", "exec"), names)
    assert names["same"] is True
    assert 0.7 < names["cosine"] < 1
    np.testing.assert_allclose(np.linalg.norm(names["vectors"], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(names["similarity"][0, 1], names["cosine"], atol=1e-3)
    assert names["rows"].tolist() == [[0, 1], [1, 0]] and names["gallery"].paths == names["probes"].paths
    assert names["result"].tar_at_far[1].tar > 0.8
