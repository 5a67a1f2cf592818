"""Where numbers are to stay as exact as they are, also under autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast on ``device``; the meta device, on which shapes are checked, has none to turn off."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
