"""Losses and the classifier that is sharded by class over processes. ``docs/losses.md`` lists them."""

from facerec_cli.losses.base import Loss, LossInput
from facerec_cli.losses.classifier import Classes, Classifier, unit

__all__ = ["Classes", "Classifier", "Loss", "LossInput", "unit"]
