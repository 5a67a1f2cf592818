"""DDL: similarity distributions of hard samples are pulled to those of easy ones."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from facerec_cli.errors import UsageError
from facerec_cli.losses.base import Loss, LossInput, Terms, build_host
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.histogram import soft_histogram
from facerec_cli.settings import Option, checked

_EPS = 1e-9
_Layout = tuple[Tensor, Tensor, Tensor]


class DDL(Loss):
    """Margin softmax + KL of similarity histograms, easy to hard, + order of their means.

    Huang et al., Improving Face Recognition from Hard Samples via Distribution Distillation Loss, arXiv
    2002.03662, equations 3 to 6. In branch b (0 easy, 1.. hard) S+ holds the cosines of its pairs, S- for
    each single photo the largest cosine with another person's single photo; P and Q_k are their soft
    histograms:

        positive_weight sum_k KL(P+ | Q+_k) + negative_weight sum_k KL(P- | Q-_k)
        + order_weight sum_i sum_j (mean S-_i - mean S+_j)

    Similarities are those of the global batch. The order term is linear, so the loss can be below zero.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        host: Any loss with class weights of its own; ``amsoftmax`` is ``cosface``.
        scale: Of the host; its own default if not given.
        margin: Of the host; its own default if not given.
        branches: Easy branch and hard groups together, 2.
        positive_weight: lambda_1, 0.1.
        negative_weight: lambda_2, 0.02.
        order_weight: lambda_3, 0.5.
        positive_threshold: Cosines of pairs at or below it are left out, 0 (the official code has this
            argument, but always uses 0).
        low: Lower end of the histogram, 0 (code; the paper's figures show -1).
        high: Upper end, not itself a node, 1.
        nodes: 1000.
        sigma: Width of the Gaussian kernel, 0.1.
        detach_teacher: No gradient into the easy branch's histograms; off as in the code, although
            "distillation" suggests it.
        later_index: The official rule for S-: only photos later in the batch, floored at 0. Off: any other
            photo of the branch, also where a person occurs twice.
        classify: Which photos the host sees, ``singles`` (code) or ``all``; its losses are averaged in each
            branch and added up over branches.
        **common: See :class:`Loss`.
    """

    needs_classes = False
    batches = "branches"

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        host: str = "arcface",
        scale: float | None = None,
        margin: float | None = None,
        branches: Annotated[int, Option(ge=1)] = 2,
        positive_weight: float = 0.1,
        negative_weight: float = 0.02,
        order_weight: float = 0.5,
        positive_threshold: float = 0.0,
        low: float = 0.0,
        high: float = 1.0,
        nodes: Annotated[int, Option(ge=2)] = 1000,
        sigma: Annotated[float, Option(gt=0)] = 0.1,
        detach_teacher: bool = False,
        later_index: bool = False,
        classify: Literal["singles", "all"] = "singles",
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.host = build_host(host, num_classes, embedding_size, common, scale=scale, margin=margin)
        self.labels_group = self.host.labels_group
        if low >= high:
            raise UsageError("DDL needs low < high.")
        self.branches, self.positive_threshold = branches, positive_threshold
        self.positive_weight, self.negative_weight = positive_weight, negative_weight
        self.order_weight, self.sigma = order_weight, sigma
        self.detach_teacher, self.later_index = detach_teacher, later_index
        self.classify = classify
        self.low, self.high, self.nodes = low, high, nodes

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """The host's loss of each row, (B,)."""
        return self.host.rows(batch)

    def compute(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Host losses of the branches plus the distribution terms, of the global batch."""
        batch = self.gather(batch)
        rows, terms = self.rows(batch)
        layout = self._layout(batch)
        members, single, _ = layout
        seen = members & single if self.classify == "singles" else members
        host = _mean(rows, seen).sum()
        distribution, more = self.distribution(batch, layout)
        return host + distribution, {**terms, "host": host, **more}

    def distribution(self, batch: LossInput, layout: _Layout | None = None) -> tuple[Tensor, Terms]:
        """The KL and order terms of a global batch, without the host; ``layout`` where it is known."""
        members, single, pair = layout or self._layout(batch)
        x = unit(batch.embeddings)
        cosine = x @ x.mT
        later = torch.ones_like(cosine, dtype=torch.bool).triu(1)
        labels = batch.labels.to(x.device, non_blocking=True)
        other = labels[:, None] != labels
        together = (members[:, :, None] & members[:, None]).any(0)

        partner = (pair[:, None] == pair) & ~single & later
        positive = cosine.gather(1, partner.int().argmax(1, keepdim=True))[:, 0]
        has_pair = members & partner.any(1) & (positive > self.positive_threshold)

        rival = together & single & single[:, None] & other & (later | (later.mT & (not self.later_index)))
        negative = cosine.masked_fill(~rival, -torch.inf).max(1).values
        if self.later_index:
            has_rival = members & single
            negative = negative.clamp_min(0)
        else:
            has_rival = members & rival.any(1)
            negative = torch.where(rival.any(1), negative, 0.0)

        positive_kl = self._divergence(positive, has_pair)
        negative_kl = self._divergence(negative, has_rival)
        ordered = has_rival.any(1)[:, None] & has_pair.any(1)
        gaps = _mean(negative, has_rival)[:, None] - _mean(positive, has_pair)
        order = torch.where(ordered, gaps, 0.0).sum()
        loss = self.positive_weight * positive_kl + self.negative_weight * negative_kl
        loss = loss + self.order_weight * order
        terms = {"positive_kl": positive_kl, "negative_kl": negative_kl, "order": order}
        return loss, {**terms, "pairs": has_pair.sum(), "rivals": has_rival.sum()}

    def _layout(self, batch: LossInput) -> _Layout:
        """Which rows belong to each branch (K + 1, B), which are single photos (B,), pair numbers (B,)."""
        device = batch.embeddings.device
        nothing = torch.zeros(len(batch.embeddings), dtype=torch.int64, device=device)
        branch = nothing if batch.branch is None else batch.branch.to(device, non_blocking=True)
        pair = nothing - 1 if batch.pair is None else batch.pair.to(device, non_blocking=True)
        return branch == torch.arange(self.branches, device=device)[:, None], pair < 0, pair

    def _divergence(self, values: Tensor, members: Tensor) -> Tensor:
        """Sum over the hard branches of KL(easy | hard); a branch without a value adds nothing."""
        step = (self.high - self.low) / self.nodes
        nodes = self.low + step * torch.arange(self.nodes, dtype=values.dtype, device=values.device)
        histogram = soft_histogram(values, members.to(values.dtype), nodes, self.sigma)
        easy, hard = histogram[0] + _EPS, histogram[1:] + _EPS
        if self.detach_teacher:
            easy = easy.detach()
        divergence = (easy * (easy / hard).log()).sum(1)
        filled = members.any(1)
        return torch.where(filled[0] & filled[1:], divergence, 0.0).sum()


def _mean(values: Tensor, members: Tensor) -> Tensor:
    """Mean of the values (B,) of each set of ``members`` (K, B), 0 for an empty one."""
    return torch.where(members, values, 0.0).sum(1) / members.sum(1).clamp_min(1)
