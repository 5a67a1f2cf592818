"""The contract of every loss: what it is given, what it returns, what it promises across processes.

A loss that looks at classes subclasses :class:`Loss` and writes one method, ``rows``: the loss of each row of
the global batch. A loss over the batch as a whole writes ``compute`` instead. ``docs/losses.md`` shows how to
add one.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from facerec_cli import registry
from facerec_cli.errors import InputError, UsageError
from facerec_cli.losses.class_cosines import Matmul
from facerec_cli.losses.classifier import Classifier
from facerec_cli.losses.distributed import gather, gather_rows, world
from facerec_cli.losses.precision import full_precision
from facerec_cli.settings import Field, Option, options

Terms = dict[str, Tensor]
Scale = Annotated[float, Option("s, the factor on cosines.", gt=0)]
StartEpoch = Annotated[int, Option("First epoch, from 0, with all terms.", ge=0)]


@dataclass(frozen=True)
class LossInput:
    """One batch as a loss sees it; on several processes, the rows of this process.

    Attributes:
        embeddings: (B, D) raw (not normalized) embeddings, any floating dtype.
        labels: (B,) int64 class of each row, global class ids. They may stay on the CPU: then they are
            checked at every step and the losses that count them (EPL) need not wait for the GPU.
        feature_map: (B, C, H, W) last feature map of the backbone, where ``Loss.needs_feature_map``.
        branch: (B,) int64, 0 for easy rows and k for hard group k; ``None`` means all easy (DDL).
        pair: (B,) int64, the number that the two photos of a pair share, -1 for single photos; ``None`` means
            all single (DDL).
        target: (B, D) embedding that each row should have (distill).
        epoch: Epoch, from 0.
        step: Step since the start of training, from 0; with the seed it decides which classes are sampled.
    """

    embeddings: Tensor
    labels: Tensor
    feature_map: Tensor | None = None
    branch: Tensor | None = None
    pair: Tensor | None = None
    target: Tensor | None = None
    epoch: int = 0
    step: int = 0


class Loss(nn.Module, ABC):
    """A loss with its class weights.

    ``forward`` returns the loss of the **global** batch, the same on all processes, and its terms as detached
    scalars to log. The gradient of a process's embeddings (and feature map) is the single-process gradient
    times the number of processes, so that DistributedDataParallel's average over processes is exactly the
    single-process gradient. Parameters that are sharded by class (:meth:`sharded_names`) get their exact
    gradient; all others get the same exact gradient on every process. So a loss is never wrapped in
    DistributedDataParallel. Everything is computed in float32 (float64 for float64 embeddings), also under
    autocast, and inputs are never written to.

    Args:
        num_classes: Number of classes C over all processes.
        embedding_size: Width D of the embeddings.
        sample_rate: Share of the negative classes that takes part in a step (Partial-FC); 1 takes all.
        group: Processes that share the classes; ``None`` for one process without ``torch.distributed``.
            All processes must give equally many rows on CUDA; on the CPU the numbers may differ.
        seed: Seed of the class weights and of the class sample. The initial weights do not depend on the
            number of processes.
        matmul: Precision of the products with the class matrix, see :class:`Classifier`.

    Raises:
        UsageError: A setting is out of its range.
    """

    needs_classes: ClassVar[bool] = True  # whether it has class weights of its own
    needs_feature_map: ClassVar[bool] = False
    needs_target: ClassVar[bool] = False
    batches: ClassVar[Literal["shuffled", "identities", "branches"]] = "shuffled"
    start_epoch: int = 0  # first epoch, from 0, with all terms
    labels_group: ProcessGroup | None = None  # over which labels on the CPU are gathered without the GPUs

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        sample_rate: float = 1.0,
        group: ProcessGroup | None = None,
        seed: int = 0,
        matmul: Matmul = "float32",
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.group = group
        if self.needs_classes:
            self.classifier = Classifier(
                num_classes, embedding_size, sample_rate=sample_rate, group=group, seed=seed, matmul=matmul
            )
        self._labels_checked = False

    @classmethod
    def settings(cls) -> dict[str, Field]:
        """The settings that this loss has beside those of :class:`Loss`, from its constructor."""
        shared = inspect.signature(Loss).parameters
        return {field.name: field for field in options(cls.__init__) if field.name not in shared}

    def sharded_names(self) -> frozenset[str]:
        """State-dict entries that are sharded by class over the processes, on dimension 0."""
        return frozenset(
            f"{path}.{name}".lstrip(".")
            for path, module in self.named_modules()
            for name in getattr(module, "sharded_by_class", ())
        )

    def local_classes(self) -> range:
        """The classes whose weights this process holds; none where the loss has no class weights."""
        return next((m.shard for m in self.modules() if isinstance(m, Classifier)), range(0))

    @torch.no_grad()
    def start_at(self, means: Tensor) -> None:
        """Start the class weights at unit rows ``means``, (len(local_classes()), D)."""
        for module in self.modules():
            if isinstance(module, Classifier):
                module.weight.copy_(means)

    def forward(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """The loss of the global batch, scalar, and its terms to log, detached scalars.

        Raises:
            InputError: A label is not a class, or a field that this loss needs is missing.
        """
        self._check(batch)
        with full_precision(batch.embeddings.device):
            loss, terms = self.compute(_in_full_precision(batch))
        return loss, {name: value.detach() for name, value in terms.items()}

    def compute(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """The loss from this process's rows; by default the mean of :meth:`rows` over the global batch."""
        rows, terms = self.rows(self.gather(batch))
        return rows.mean(), terms

    @abstractmethod
    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """The loss of each row of the global batch, (B,), and the terms to log."""

    def gather(self, batch: LossInput) -> LossInput:
        """The global batch (without feature maps): the rows of all processes, in the order of their ranks."""
        if self.group is None:
            return batch
        rank, size = world(self.group)
        device = batch.embeddings.device
        if self.labels_group is not None and batch.labels.is_cpu:
            labels = gather_rows(batch.labels, self.labels_group)
        else:
            labels = gather_rows(batch.labels.to(device, non_blocking=True), self.group)

        def together(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else gather_rows(tensor.to(device, non_blocking=True), self.group)

        # Each process numbers its pairs from 0; make the numbers distinct before they are joined.
        pair = None if batch.pair is None else torch.where(batch.pair < 0, -1, batch.pair * size + rank)
        return replace(
            batch,
            embeddings=gather(batch.embeddings, self.group),
            labels=labels,
            branch=together(batch.branch),
            pair=together(pair),
            target=together(batch.target),
            feature_map=None,
        )

    def _check(self, batch: LossInput) -> None:
        if self.needs_feature_map and batch.feature_map is None:
            raise InputError(f"{type(self).__name__} needs the feature map of the backbone.")
        if batch.embeddings.shape[-1] != self.embedding_size:
            raise InputError(
                f"The embeddings have {batch.embeddings.shape[-1]} values, the loss expects "
                f"{self.embedding_size}.",
                hint="Give backbone and loss the same embedding_size.",
            )
        # Reading labels on a GPU would make the CPU wait, so there only the first batch is looked at.
        if (batch.labels.is_cpu or not self._labels_checked) and batch.labels.numel():
            self._labels_checked = True
            low, high = (int(v) for v in batch.labels.aminmax())
            if low < 0 or high >= self.num_classes:
                raise InputError(
                    f"Label {low if low < 0 else high} in the batch, but the loss has {self.num_classes} "
                    f"classes (0 to {self.num_classes - 1}).",
                    hint="Run facerec data check on the training data, or give the right number of classes.",
                )


def build_host(
    name: str, num_classes: int, embedding_size: int, common: dict[str, Any], **settings: float | None
) -> Loss:
    """The classification loss that another loss adds its terms to.

    Args:
        name: A loss with class weights of its own, ``amsoftmax`` for ``cosface``.
        num_classes: Classes C.
        embedding_size: Width D.
        common: The settings that all losses share.
        **settings: Settings of the host; ``None`` leaves its own default.

    Raises:
        UsageError: No such loss, a loss that cannot be a host, or a setting that it does not have.
    """
    kind: type[Loss] = registry.load(registry.LOSSES, "cosface" if name == "amsoftmax" else name, "loss")
    if not kind.needs_classes:
        hosts = (key for key in registry.LOSSES if registry.load(registry.LOSSES, key, "loss").needs_classes)
        raise UsageError(
            f"The loss {name!r} has no class weights of its own, so it cannot be a host.",
            hint=f"Hosts are {', '.join(hosts)}.",
        )
    given: dict[str, Any] = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        if key not in kind.settings():
            raise UsageError(
                f"The host {name!r} has no setting {key!r}.", hint=f"It has {', '.join(kind.settings())}."
            )
    return kind(num_classes, embedding_size, **given, **common)


def _in_full_precision(batch: LossInput) -> LossInput:
    """Half precision becomes float32; float64 embeddings keep everything in float64."""
    dtype = torch.float64 if batch.embeddings.dtype == torch.float64 else torch.float32
    device = batch.embeddings.device

    def cast(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(device, dtype, non_blocking=True)

    return replace(
        batch,
        embeddings=batch.embeddings.to(dtype),
        feature_map=cast(batch.feature_map),
        target=cast(batch.target),
    )
