"""Checkpoints as training leaves them, and what their networks give, written out once more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from facerec_cli.backbones import Backbone
from facerec_cli.training import checkpoint

SIZE = 32


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every layer weights that matter: nothing is zero, one or the identity."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            uniform(layer.running_mean, -0.2, 0.2)
            uniform(layer.running_var, 0.6, 1.5)
            if layer.affine:
                uniform(layer.weight, 0.6, 1.4)
                uniform(layer.bias, -0.2, 0.2)
        elif isinstance(layer, nn.PReLU):
            uniform(layer.weight, -0.2, 0.5)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            bound = (3.0 / layer.weight[0].numel()) ** 0.5
            uniform(layer.weight, -bound, bound)
    return module.eval()


def write_checkpoint(
    path: Path, backbone: Backbone, name: str, data: str, *, init: str = "", **settings: object
) -> Path:
    """What ``facerec train`` leaves as ``best.pt``."""
    checkpoint.write(
        path,
        {
            **checkpoint.header("0.0"),
            "backbone": checkpoint.describe_backbone(name, settings, backbone),
            "loss": {"name": "otface"},
            "recipe": {
                "backbone": {"init": init},
                "loss": {"name": "otface", "k": 6},
                "data": {"path": "/secret/faces"},
            },
            "data": {"name": data, "classes": 40, "images": 40},
            "progress": {"epoch": 3, "step": 30, "metrics": {}},
        },
    )
    return path


def torch_embeddings(
    backbone: Backbone, crops: NDArray[np.uint8], *, flip: bool = False
) -> NDArray[np.float32]:
    """What the bare network gives for RGB crops scaled to [-1, 1], written out here once more."""
    views = [crops, crops[:, :, ::-1]] if flip else [crops]
    scaled = [torch.tensor((view[..., ::-1].astype(np.float32) - 127.5) / 127.5) for view in views]
    with torch.inference_mode():
        return sum(backbone(view.permute(0, 3, 1, 2)).embeddings for view in scaled).numpy()


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
