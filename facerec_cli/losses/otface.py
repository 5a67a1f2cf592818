"""OTFace: for triplets that are hard in embedding space, transport between feature maps decides."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor

from facerec_cli.losses.base import Loss, LossInput, StartEpoch, Terms, build_host
from facerec_cli.losses.classifier import unit
from facerec_cli.losses.distributed import add_up, sum_over_processes
from facerec_cli.losses.transport import descriptors, ground_cost, sinkhorn
from facerec_cli.settings import Option, checked

# Scale and margin of the official program's two hosts.
_HOSTS = {"arcface": (64.0, 0.45), "amsoftmax": (30.0, 0.35), "cosface": (30.0, 0.35)}
# What each variant of the official program used: regularisation and iterations.
_VARIANTS = {"triplet": (1.0, 10), "group": (0.1, 6)}
_CANDIDATES = 1 << 24


class OTFace(Loss):
    """Margin softmax + weight * mean over active triplets of W(a, p) - W(a, n).

    OTFace: Hard Samples Guided Optimal Transport Loss for Deep Face Recognition, arXiv 2203.14461. Triplets
    with cos(a, n) - cos(a, p) > -alpha are mined among a process's own rows; W is the entropic transport
    cost between the normalized columns of two feature maps, with uniform marginals; the hinge
    max(W(a, p) - W(a, n), -beta) is averaged over the triplets where it is above 0, of all processes. The
    term reaches the layers up to the feature map, not the embedding layer and not the class weights.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D); feature maps are (B, channels, H, W).
        host: Any loss with class weights of its own; ``amsoftmax`` is ``cosface``.
        scale: Of the host; default 64 for arcface, 30 for cosface, else the host's own.
        margin: Of the host; default 0.45 for arcface, 0.35 for cosface, else the host's own.
        variant: ``triplet`` (the released program) or ``group``: for each hard (a, p), the maps of all its
            hard negatives are averaged to one, columns are centered over channels, and the mean is over all
            pairs (an earlier program of the authors, nearer to the words of the abstract).
        regularisation: Of the transport; default 1 for triplet, 0.1 for group. At 1 the plan is nearly
            uniform and the term small, hence the weight of 10; 0.05 to 0.1 with a weight near 1 is worth a
            try.
        iterations: Of Sinkhorn; default 10 for triplet, 6 for group.
        alpha: Margin of the mining, 0.
        beta: Floor of the hinge, 0 or more, 0; no value changes the loss, as only hinges above 0 count.
        weight: Of the transport term, 10.
        start_epoch: First epoch, from 0, with the transport term, 0.
        max_triplets: Cap on triplets (pairs for ``group``), the hardest first, 512; 0 for no cap.
        official_sinkhorn: The official program's iteration, which is wrong for a cost that is not symmetric.
        **common: See :class:`Loss`.

    The official mining with alpha > 0 selects every index triple, valid or not, and pairs a photo with
    itself; neither is reproduced.
    """

    needs_classes = False
    needs_feature_map = True
    batches = "identities"

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        host: str = "arcface",
        scale: float | None = None,
        margin: float | None = None,
        variant: Literal["triplet", "group"] = "triplet",
        regularisation: Annotated[float | None, Option(gt=0)] = None,
        iterations: Annotated[int | None, Option(ge=1)] = None,
        alpha: float = 0.0,
        beta: Annotated[float, Option(ge=0)] = 0.0,
        weight: float = 10.0,
        start_epoch: StartEpoch = 0,
        max_triplets: Annotated[int, Option(ge=0)] = 512,
        official_sinkhorn: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        default_scale, default_margin = _HOSTS.get(host, (None, None))
        self.host = build_host(
            host,
            num_classes,
            embedding_size,
            common,
            scale=default_scale if scale is None else scale,
            margin=default_margin if margin is None else margin,
        )
        self.labels_group = self.host.labels_group
        default_regularisation, default_iterations = _VARIANTS[variant]
        self.variant = variant
        self.regularisation = default_regularisation if regularisation is None else regularisation
        self.iterations = default_iterations if iterations is None else iterations
        self.alpha, self.beta, self.weight, self.start_epoch = alpha, beta, weight, start_epoch
        self.max_triplets, self.official_sinkhorn = max_triplets, official_sinkhorn

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """The host's loss of each row, (B,)."""
        return self.host.rows(batch)

    def compute(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Host loss of the global batch plus the transport term of all processes' own triplets."""
        host, terms = super().compute(batch)
        if batch.epoch < self.start_epoch or batch.feature_map is None:
            return host, terms
        transport = self._groups if self.variant == "group" else self._triplets
        x = unit(batch.embeddings.detach())
        labels = batch.labels.to(x.device, non_blocking=True)
        hinges, counted, mined = transport(x @ x.mT, labels, batch.feature_map)
        active = add_up(counted.sum(), self.group)
        total = sum_over_processes(torch.where(counted, hinges, 0.0).sum(), self.group)
        term = total / active.clamp_min(1)
        terms = {**terms, "host": host, "transport": term, "mined": add_up(mined.sum(), self.group)}
        return host + self.weight * term, {**terms, "active": active}

    def _cost(self, first: Tensor, second: Tensor) -> Tensor:
        cost = ground_cost(first, second)
        if self.variant == "group":
            cost = cost.clamp(0, 2)
        return sinkhorn(cost, self.regularisation, self.iterations, official=self.official_sinkhorn)[0]

    def _triplets(self, cosine: Tensor, labels: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hinges (T,), which of them count, and which places hold a mined triplet."""
        triplets = mine(cosine, labels, self.alpha, self.max_triplets)
        # Each pair once: both kinds of pairs as one number, anchor and other photo. On CUDA finding the
        # distinct ones would stop the CPU, and transporting some twice costs less.
        size = len(labels)
        pairs = torch.cat(
            [triplets.anchor * size + triplets.positive, triplets.anchor * size + triplets.negative]
        )
        back = torch.arange(len(pairs), device=pairs.device)
        if _may_wait(pairs):
            pairs, back = torch.unique(pairs, return_inverse=True)
        columns = descriptors(maps)
        cost = self._cost(columns[pairs // size], columns[pairs % size])
        positive, negative = cost[back].chunk(2)
        hinges = (positive - negative).clamp_min(-self.beta)
        return hinges, triplets.valid & (hinges > 0), triplets.valid

    def _groups(self, cosine: Tensor, labels: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hinges (T,) of hard (anchor, positive) pairs against the mean map of their hard negatives."""
        same = labels[:, None] == labels
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        nearest = cosine.masked_fill(same, -torch.inf).amax(1, keepdim=True)
        margin = (nearest - cosine).masked_fill(~positive, -torch.inf)
        values, index = margin.flatten().topk(min(self.max_triplets or margin.numel(), margin.numel()))
        valid = values > -self.alpha
        if _may_wait(valid):
            index, valid = index[valid], valid[valid]
        a, p = index // len(labels), index % len(labels)
        hard = ~same[a] & (cosine[a] - cosine[a, p][:, None] > -self.alpha)
        share = hard / hard.sum(1, keepdim=True).clamp_min(1)
        mean = (share.to(maps.dtype) @ maps.flatten(1)).view(-1, *maps.shape[1:])
        columns = descriptors(maps, centered=True)
        anchors = columns[a]
        difference = self._cost(anchors, columns[p]) - self._cost(anchors, descriptors(mean, centered=True))
        return difference.relu(), valid, valid


class Triplets(NamedTuple):
    """Rows of anchors, positives and negatives, (T,) each; places that are not ``valid`` are padding."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor
    valid: Tensor


def mine(cosine: Tensor, labels: Tensor, alpha: float, limit: int) -> Triplets:
    """All triplets with cos(a, n) - cos(a, p) > -alpha, or the ``limit`` hardest of them.

    With an anchor's positives sorted from far to near and its negatives from near to far, place (i, j) is no
    harder than the (i + 1) (j + 1) places before it in both orders. So only places with (i + 1) (j + 1) <=
    limit can be among the hardest, about limit * ln(limit) for an anchor instead of B^2.

    Args:
        cosine: (B, B).
        labels: (B,).
        alpha: Margin.
        limit: How many at most, 0 for all. On CUDA a limit also keeps the CPU from waiting: there are then
            always ``limit`` places, padded.
    """
    size = len(labels)
    same = labels[:, None] == labels
    positive = same & ~torch.eye(size, dtype=torch.bool, device=labels.device)
    far, far_index = cosine.masked_fill(~positive, torch.inf).sort(1)
    near, near_index = cosine.masked_fill(same, -torch.inf).sort(1, descending=True)
    i, j = _places(size, limit, cosine.device)
    margins, candidates = [], []
    step = max(1, _CANDIDATES // max(len(i), 1))
    for start in range(0, size, step):
        margin = (near[start : start + step, j] - far[start : start + step, i]).flatten()
        if limit:
            margin, at = margin.topk(min(limit, len(margin)))
        else:
            at = (margin > -alpha).nonzero()[:, 0]
            margin = margin[at]
        margins.append(margin)
        candidates.append(at + start * len(i))
    margin, at = torch.cat(margins), torch.cat(candidates)
    if limit and len(margin) > limit:
        margin, order = margin.topk(limit)
        at = at[order]
    valid = margin > -alpha
    if _may_wait(valid):
        at, valid = at[valid], valid[valid]
    a, place = at // len(i), at % len(i)
    return Triplets(a, far_index[a, i[place]], near_index[a, j[place]], valid)


def _may_wait(tensor: Tensor) -> bool:
    """Whether a size may depend on values: on a GPU the CPU would wait, on meta there are none."""
    return tensor.device.type not in ("cuda", "meta")


@lru_cache(maxsize=8)
def _places(size: int, limit: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Places (i, j) of two sorted lists that can hold one of the ``limit`` hardest triplets."""
    place = torch.arange(1, size + 1)
    i, j = (place[:, None] * place <= (limit or size * size)).nonzero(as_tuple=True)
    return i.to(device), j.to(device)
