"""The classification networks of GluonCV 0.10.5, by the names that it gives them, and what each takes as input."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

# fmt: off
BackboneName = Literal[
    "resnet18_v1", "resnet34_v1", "resnet50_v1", "resnet101_v1", "resnet152_v1", "resnet18_v2", "resnet34_v2",
    "resnet50_v2", "resnet101_v2", "resnet152_v2", "resnest14", "resnest26", "resnest50", "resnest101",
    "resnest200", "resnest269", "se_resnet18_v1", "se_resnet34_v1", "se_resnet50_v1", "se_resnet101_v1",
    "se_resnet152_v1", "se_resnet18_v2", "se_resnet34_v2", "se_resnet50_v2", "se_resnet101_v2",
    "se_resnet152_v2", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn",
    "alexnet", "densenet121", "densenet161", "densenet169", "densenet201", "shufflenet_v1", "shufflenet_v2",
    "squeezenet1.0", "squeezenet1.1", "googlenet", "inceptionv3", "xception", "xception71", "mobilenet1.0",
    "mobilenet0.75", "mobilenet0.5", "mobilenet0.25", "mobilenetv2_1.0", "mobilenetv2_0.75", "mobilenetv2_0.5",
    "mobilenetv2_0.25", "mobilenetv3_large", "mobilenetv3_small", "cifar_resnet20_v1", "cifar_resnet56_v1",
    "cifar_resnet110_v1", "cifar_resnet20_v2", "cifar_resnet56_v2", "cifar_resnet110_v2",
    "cifar_wideresnet16_10", "cifar_wideresnet28_10", "cifar_wideresnet40_8", "cifar_resnext29_32x4d",
    "cifar_resnext29_16x64d", "resnet18_v1b", "resnet34_v1b", "resnet50_v1b", "resnet101_v1b", "resnet152_v1b",
    "resnet50_v1c", "resnet101_v1c", "resnet152_v1c", "resnet50_v1d", "resnet101_v1d", "resnet152_v1d",
    "resnet50_v1e", "resnet101_v1e", "resnet152_v1e", "resnet50_v1s", "resnet101_v1s", "resnet152_v1s",
    "resnext50_32x4d", "resnext101_32x4d", "resnext101_64x4d", "resnext101e_64x4d", "se_resnext50_32x4d",
    "se_resnext101_32x4d", "se_resnext101_64x4d", "se_resnext101e_64x4d", "senet_154", "senet_154e",
    "darknet53", "nasnet_5_1538", "residualattentionnet56", "residualattentionnet92", "residualattentionnet128",
    "residualattentionnet164", "residualattentionnet200", "residualattentionnet236", "residualattentionnet452",
    "cifar_residualattentionnet56", "cifar_residualattentionnet92", "cifar_residualattentionnet452",
    "resnet18_v1b_0.89", "resnet50_v1d_0.86", "resnet50_v1d_0.48", "resnet50_v1d_0.37", "resnet50_v1d_0.11",
    "resnet101_v1d_0.76", "resnet101_v1d_0.73", "dla34", "hrnet_w18_c", "hrnet_w18_small_v1_c",
    "hrnet_w18_small_v2_c", "hrnet_w30_c", "hrnet_w32_c", "hrnet_w40_c", "hrnet_w44_c", "hrnet_w48_c",
    "hrnet_w64_c", "resnet50_v1b_gn", "resnet101_v1b_gn", "nasnet_4_1056", "nasnet_7_1920", "nasnet_6_4032",
]
# fmt: on

_NO_GRAPH = "its group normalisation is not one that MXNet 1.9.1 can make a graph of"
_NO_GRADIENT = "MXNet 1.9.1 cannot compute its gradients on a processor (oneDNN: could not construct a sub-memory)"

UNUSABLE = {
    "resnet50_v1b_gn": _NO_GRAPH,
    "resnet101_v1b_gn": _NO_GRAPH,
    "nasnet_4_1056": _NO_GRADIENT,
    "nasnet_7_1920": _NO_GRADIENT,
    "nasnet_6_4032": _NO_GRADIENT,
}
"""Networks that GluonCV has and that cannot be trained, and why."""

BACKBONES: tuple[str, ...] = tuple(name for name in get_args(BackboneName) if name not in UNUSABLE)


class Normalisation(NamedTuple):
    """Mean and standard deviation of each channel (red, green, blue), of values between 0 and 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10 = Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))

_SIZES = {
    "inceptionv3": 299,
    "xception": 299,
    "xception71": 299,
    "resnest101": 256,
    "resnest200": 320,
    "resnest269": 416,
}


def own_size(name: str) -> int:
    """Return the side in pixels of the square images for which GluonCV trained a network."""
    return 32 if name.startswith("cifar_") else _SIZES.get(name, 224)


def own_normalisation(name: str) -> Normalisation:
    """Return the mean and the standard deviation with which GluonCV trained a network."""
    return CIFAR10 if name.startswith("cifar_") else IMAGENET
