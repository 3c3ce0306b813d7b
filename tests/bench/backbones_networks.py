"""GluonCV's resnet18_v1, resnet50_v1, mobilenetv2_1.0, googlenet and vgg16, written in PyTorch.

torchvision's are others: resnet50_v1 has its stride in the first convolution of a block and biases in two of them,
googlenet has no bias and other pooling. The bench compares the numbers of parameters with those of GluonCV's.
"""

import torch
from torch import nn


def convolution(inputs, outputs, kernel=1, stride=1, padding=0, *, groups=1, bias=False, active=nn.ReLU, eps=1e-5):
    """A convolution with batch normalisation, and an activation unless it is None."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias),
        nn.BatchNorm2d(outputs, eps=eps),
    ]
    return nn.Sequential(*layers, *([] if active is None else [active(inplace=True)]))


class Residual(nn.Module):
    def __init__(self, body, shortcut, active=True):
        super().__init__()
        self.body, self.shortcut, self.active = body, shortcut, active

    def forward(self, x):
        sums = self.body(x) + self.shortcut(x)
        return torch.relu_(sums) if self.active else sums


def resnet(layers, channels, deep):
    stages = [convolution(3, 64, 7, 2, 3), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, (count, outputs) in enumerate(zip(layers, channels, strict=True)):
        for number in range(count):
            stride = 2 if stage and number == 0 else 1
            quarter = outputs // 4
            body = (
                nn.Sequential(
                    convolution(inputs, quarter, 1, stride, bias=True),
                    convolution(quarter, quarter, 3, 1, 1),
                    convolution(quarter, outputs, 1, bias=True, active=None),
                )
                if deep
                else nn.Sequential(
                    convolution(inputs, outputs, 3, stride, 1),
                    convolution(outputs, outputs, 3, 1, 1, active=None),
                )
            )
            same = inputs == outputs
            stages.append(
                Residual(body, nn.Identity() if same else convolution(inputs, outputs, 1, stride, active=None))
            )
            inputs = outputs
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def resnet18_v1():
    return resnet((2, 2, 2, 2), (64, 128, 256, 512), deep=False)


def resnet50_v1():
    return resnet((3, 4, 6, 3), (256, 512, 1024, 2048), deep=True)


def mobilenetv2():
    layers = [convolution(3, 32, 3, 2, 1, active=nn.ReLU6)]
    inputs = 32
    for outputs, count, first, widening in (
        (16, 1, 1, 1),
        (24, 2, 2, 6),
        (32, 3, 2, 6),
        (64, 4, 2, 6),
        (96, 3, 1, 6),
        (160, 3, 2, 6),
        (320, 1, 1, 6),
    ):
        for number in range(count):
            stride, hidden = first if number == 0 else 1, inputs * widening
            body = nn.Sequential(
                *([convolution(inputs, hidden, active=nn.ReLU6)] if widening > 1 else []),
                convolution(hidden, hidden, 3, stride, 1, groups=hidden, active=nn.ReLU6),
                convolution(hidden, outputs, active=None),
            )
            same = stride == 1 and inputs == outputs
            layers.append(Residual(body, nn.Identity(), active=False) if same else body)
            inputs = outputs
    layers += [convolution(inputs, 1280, active=nn.ReLU6), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Conv2d(1280, 10, 1, bias=False), nn.Flatten())


class Inception(nn.Module):
    def __init__(self, inputs, one, three, five, pooled):
        super().__init__()

        def branch(reduced, outputs):
            return nn.Sequential(
                convolution(inputs, reduced, eps=1e-3), convolution(reduced, outputs, 3, 1, 1, eps=1e-3)
            )

        self.branches = nn.ModuleList(
            [
                convolution(inputs, one, eps=1e-3),
                branch(*three),
                branch(*five),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, pooled, eps=1e-3)),
            ]
        )

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def googlenet():
    return nn.Sequential(
        convolution(3, 64, 7, 2, 3, eps=1e-3),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        convolution(64, 64, eps=1e-3),
        convolution(64, 192, 3, 1, 1, eps=1e-3),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Inception(192, 64, (96, 128), (16, 32), 32),
        Inception(256, 128, (128, 192), (32, 96), 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Inception(480, 192, (96, 208), (16, 48), 64),
        Inception(512, 160, (112, 224), (24, 64), 64),
        Inception(512, 128, (128, 256), (24, 64), 64),
        Inception(512, 112, (144, 288), (32, 64), 64),
        Inception(528, 256, (160, 320), (32, 128), 128),
        nn.MaxPool2d(2, 2),
        Inception(832, 256, (160, 320), (32, 128), 128),
        Inception(832, 384, (192, 384), (48, 128), 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.4),
        nn.Linear(1024, 10),
    )


def vgg16():
    layers, inputs = [], 3
    for count, outputs in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    layers += [nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4096, 10)]
    return nn.Sequential(*layers)


NETWORKS = {
    "resnet18_v1": resnet18_v1,
    "resnet50_v1": resnet50_v1,
    "mobilenetv2_1.0": mobilenetv2,
    "googlenet": googlenet,
    "vgg16": vgg16,
}


def sizes(network):
    """The sizes of all parameters and running statistics, smallest first."""
    kept = [value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")]
    return sorted(value.numel() for value in kept)
