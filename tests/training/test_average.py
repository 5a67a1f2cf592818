"""The moving average of the weights is PyTorch's, without its counter on the device."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.testing import assert_close

from facerec_cli.training.average import MovingAverage


def test_the_average_is_that_of_pytorch() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    ours = MovingAverage(network, 0.9)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(4):
        network(torch.randn(2, 1, 5, 5))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        ours.update_parameters(network)
        theirs.update_parameters(network)
    for (name, mine), (_, reference) in zip(
        ours.module.state_dict().items(), theirs.module.state_dict().items(), strict=True
    ):
        if mine.is_floating_point():
            assert_close(mine, reference, msg=name)
    assert ours.n_averaged == theirs.n_averaged == 4
    assert ours.module[1].num_batches_tracked == 4  # a count is not averaged
    assert not torch.equal(ours.module[0].weight, network[0].weight)


def test_the_first_time_it_is_the_network_itself() -> None:
    network = nn.Linear(2, 2)
    average = MovingAverage(network, 0.999)
    with torch.no_grad():
        network.weight.add_(1)
    average.update_parameters(network)
    assert torch.equal(average.module.weight, network.weight)
