"""Why a file of PyTorch's is not read: it would run code, and what its owner can do about that."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path

import torch

from facerec_cli.errors import ModelError

# Modules that no file of weights needs; a function of them is there to be called.
_HOSTILE = frozenset(
    {"asyncio", "builtins", "commands", "ctypes", "importlib", "nt", "os", "posix", "pty", "runpy", "shutil"}
    | {"socket", "subprocess", "sys"}
)
# What trainings leave beside weights: settings, dates, arrays.
_SETTINGS = frozenset(
    {"argparse", "collections", "datetime", "easydict", "lightning", "numpy", "omegaconf", "torch", "types"}
    | {"pytorch_lightning", "yacs"}
)
_MAX_PICKLE = 64 << 20  # bytes of a checkpoint's pickle that are looked into; weights are not among them
_HARMLESS = ("builtins.set", "builtins.complex", "builtins.slice", "builtins.bytearray", "builtins.getattr")


def refused(path: Path, fault: Exception) -> ModelError:
    """The refusal of a checkpoint that asks for more than tensors, numbers and text.

    What it asks for is read from its pickle without running it.

    Args:
        path: The file.
        fault: What ``torch.load(weights_only=True)`` raised.
    """
    names = _globals(path, fault)
    hostile = [n for n in names if n.partition(".")[0] in _HOSTILE and n not in _HARMLESS]
    if hostile:
        return ModelError(
            f"{path} is refused: it would call {', '.join(hostile)} when it is loaded.",
            hint="Weights have no use for that. Do not load it; take the file from its source again.",
        )
    loaded = f"torch.load('{path}', weights_only=False, map_location='cpu')"
    if any(name.startswith("torch.nn.") for name in names):
        kind = next((name for name in names if not name.startswith("torch.")), names[0])
        return ModelError(
            f"{path} is a whole model, pickled with its class ({kind}), and loading it would run code.",
            hint="If you trust it and have its code, save its weights alone and take weights.pt: python -c "
            f"\"import torch; torch.save({loaded}.state_dict(), 'weights.pt')\"",
        )
    if names and all(name.partition(".")[0] in _SETTINGS for name in names):
        return ModelError(
            f"{path} is refused: beside its weights it holds Python objects ({', '.join(names[:3])}), and "
            "loading them would run code.",
            hint="If you trust it, save its weights alone and take weights.pt (its key may be another than "
            f"state_dict): python -c \"import torch; torch.save({loaded}['state_dict'], 'weights.pt')\"",
        )
    asks = f" It asks for {', '.join(names[:3])}." if names else ""
    return ModelError(
        f"{path} is refused: it is damaged, or would run code when it is loaded.{asks}",
        hint="Checkpoints hold tensors, numbers and text only. Take it from its source again.",
    )


def script(path: Path) -> ModelError:
    """The refusal of a TorchScript archive, which is code."""
    return ModelError(
        f"{path} is a TorchScript model: code and weights in one.",
        hint="If you trust it, save its weights alone and take weights.pt: python -c "
        f"\"import torch; torch.save(torch.jit.load('{path}').state_dict(), 'weights.pt')\"",
    )


def _globals(path: Path, fault: Exception) -> list[str]:
    """The classes and functions that a file's pickle names, in its order."""
    try:
        names = [str(name) for name in torch.serialization.get_unsafe_globals_in_checkpoint(str(path))]
        pickled = _pickle_of(path)
    except (
        ValueError,
        RuntimeError,
        OSError,
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        zipfile.BadZipFile,
    ):
        return re.findall(r"GLOBAL (\w+(?:\.\w+)+)", str(fault))[:1]  # the format before zip

    def place(name: str) -> int:  # torch gives them in no order
        module, _, attribute = name.rpartition(".")
        at = pickled.find(f"{module}\n{attribute}\n".encode())
        return at if at >= 0 else len(pickled)

    return sorted(names, key=lambda name: (place(name), name))


def _pickle_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        inside = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
        if inside is None or archive.getinfo(inside).file_size > _MAX_PICKLE:
            return b""
        return archive.read(inside)
