"""Our PReLU against PyTorch's: the same numbers, whatever the layout, type and shape."""

import pytest
import torch
from torch import nn

from facerec_cli.backbones.prelu import PReLU


def gradients(module, x, upstream):
    x = x.detach().requires_grad_()
    y = module(x)
    y.backward(upstream)
    return y.detach(), x.grad, module.weight.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 8, 5, 7), (4, 8)])
@pytest.mark.parametrize("slopes", [8, 1])
@pytest.mark.parametrize("channels_last", [False, True])
def test_equals_pytorch_with_slopes_below_zero_and_above_one(dtype, shape, slopes, channels_last):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=dtype)
    x.view(-1)[::5] = 0.0  # the kink: both must take the same side
    if channels_last and x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    upstream = torch.randn_like(x)
    ours, theirs = PReLU(slopes).to(dtype), nn.PReLU(slopes).to(dtype)
    with torch.no_grad():
        ours.weight.copy_(torch.linspace(-0.5, 1.5, slopes))
        theirs.weight.copy_(ours.weight)
    for got, expected in zip(gradients(ours, x, upstream), gradients(theirs, x, upstream), strict=True):
        assert got.stride() == expected.stride()
        torch.testing.assert_close(got, expected)


def test_frozen_slopes_and_frozen_input_get_no_gradient():
    module = PReLU(4)
    module.weight.requires_grad_(False)
    x = torch.randn(2, 4, requires_grad=True)
    module(x).sum().backward()
    assert module.weight.grad is None
    assert torch.equal(x.grad, torch.where(x > 0, 1.0, 0.25))
    module.weight.requires_grad_(True)
    module(x.detach()).sum().backward()
    assert torch.allclose(module.weight.grad, x.detach().clamp(max=0).sum(0))


def test_bfloat16_activations_give_a_float32_gradient_of_the_slopes():
    module = PReLU(4)
    x = torch.randn(2, 4, 3, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x.to(torch.bfloat16))
    y.float().sum().backward()
    assert module.weight.grad.dtype == torch.float32
    expected = x.detach().to(torch.bfloat16).clamp(max=0).float().sum((0, 2, 3))
    assert torch.allclose(module.weight.grad, expected, atol=1e-2)
