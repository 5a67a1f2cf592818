"""The promise that embedding and verifying never need torch, nor any other optional package."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import facerec_cli

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "ot",
    "insightface",
    "pyarrow",
    "matplotlib",
    "webdataset",
    "ray",
    "fsspec",
    "faiss",
    "lancedb",
)
TORCH_ROOMS = (
    "facerec_cli.losses",
    "facerec_cli.backbones",
    "facerec_cli.training",
    "facerec_cli.export",
    "facerec_cli.data.loading.loader",
    "facerec_cli.data.loading.batches",
    "facerec_cli.data.loading.augment",
    "facerec_cli.data.loading.workers",
)


def _light_modules() -> list[str]:
    modules = pkgutil.walk_packages(facerec_cli.__path__, "facerec_cli.", onerror=lambda name: None)
    return [m.name for m in modules if not m.name.startswith(TORCH_ROOMS) and not m.name.endswith("__main__")]


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_every_light_module_imports_without_the_optional_packages() -> None:
    modules = _light_modules()
    assert "facerec_cli.cli" in modules and "facerec_cli.packs.manifest" in modules
    blocked = "import sys, importlib\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in HEAVY)
    done = _run(blocked + f"for name in {modules!r}: importlib.import_module(name)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["", "identify"])
def test_help_imports_nothing_heavy(command: str) -> None:
    heavy = (*HEAVY, "jinja2", "numpy", "cv2", "onnx", "onnxruntime")
    done = _run(
        "import sys\n"
        f"sys.argv = ['facerec', *{command.split()!r}, '--help']\n"
        "from facerec_cli.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', sorted(set(sys.modules) & set({heavy!r})))"
    )
    assert done.stdout.rstrip().endswith("LOADED []"), done.stdout[-300:]
