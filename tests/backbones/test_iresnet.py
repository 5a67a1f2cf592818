"""insightface's published checkpoints must load: their names are the interface."""

import torch

from facerec_cli.backbones import build


def test_names_and_shapes_are_those_of_arcface_torch():
    with torch.device("meta"):
        state = {key: tuple(value.shape) for key, value in build("iresnet50", 512).state_dict().items()}
    expected = {  # read in recognition/arcface_torch/backbones/iresnet.py, commit 04a433f
        "conv1.weight": (64, 3, 3, 3),
        "bn1.running_mean": (64,),
        "prelu.weight": (64,),
        "layer1.0.bn1.weight": (64,),
        "layer1.0.downsample.0.weight": (64, 64, 1, 1),
        "layer1.0.downsample.1.running_var": (64,),
        "layer3.13.conv2.weight": (256, 256, 3, 3),
        "layer3.13.prelu.weight": (256,),
        "layer4.2.bn3.bias": (512,),
        "bn2.weight": (512,),
        "fc.weight": (512, 25088),
        "fc.bias": (512,),
        "features.weight": (512,),
        "features.num_batches_tracked": (),
    }
    assert {key: state.get(key) for key in expected} == expected
    tops = {key.split(".")[0] for key in state}
    assert tops == {"conv1", "bn1", "prelu", "layer1", "layer2", "layer3", "layer4", "bn2", "fc", "features"}


def test_stride_sits_in_the_second_convolution_of_each_stage():
    backbone = build("iresnet18", 8)
    for stage in (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4):
        assert stage[0].conv1.stride == (1, 1)
        assert stage[0].conv2.stride == (2, 2)
        assert stage[1].downsample is None
    assert not backbone.features.weight.requires_grad
