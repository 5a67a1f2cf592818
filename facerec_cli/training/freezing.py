"""Which modules of the backbone stay as they are."""

from __future__ import annotations

from torch import nn

from facerec_cli.backbones import Backbone
from facerec_cli.registry import unknown_name
from facerec_cli.training.config import Recipe


def freeze(backbone: Backbone, names: tuple[str, ...]) -> None:
    """Take modules out of training; ``all`` takes the whole backbone.

    Raises:
        UsageError: There is no such module.
    """
    modules = dict(backbone.named_modules())
    for name in names:
        if name != "all" and name not in modules:
            top = [key for key in modules if key and key.count(".") <= 1]
            raise unknown_name(name, [*top, "all"], "module to freeze")
        modules["" if name == "all" else name].requires_grad_(False)


def train_mode(backbone: Backbone, recipe: Recipe) -> None:
    """Switch to training; frozen modules, and with ``freeze_bn`` every BN, keep their statistics."""
    backbone.train()
    names = ["" if name == "all" else name for name in recipe.backbone.freeze]
    frozen = [backbone.get_submodule(name) for name in names]
    for module in (m for part in frozen for m in part.modules()):
        module.eval()
    if recipe.backbone.freeze_bn:
        for module in backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
