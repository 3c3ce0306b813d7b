"""LeNet: table 1 of Tabik et al. 2017, which is the LeNet of Caffe's MNIST example."""

from __future__ import annotations

from bioclass import recipe
from bioclass.backend import mx
from bioclass.networks.blocks import Chain
from bioclass.networks.layers import Stage, convolution, dense, pooled_size, pooling

STAGES: tuple[Stage, ...] = ((5, 0), (5, 0))
# Table 1's filter for cropped 20x20 images, 7x7 with "1/3": only stride 1 and padding 3 leaves room for the rest.
STAGES_20: tuple[Stage, ...] = ((7, 3), (5, 0))


def stages(height: int, width: int) -> tuple[Stage, ...]:
    """Return the convolutions for an input size in pixels: a variant for 20x20, one set for all others."""
    return STAGES_20 if (height, width) == (20, 20) else STAGES


class LeNet(Chain):
    """Two convolutions (20 and 50 channels, each pooled), fc1 with ReLU, the classes: (N, C, H, W) to (N, classes).

    After Caffe's example: no activation after the convolutions, ReLU after fc1 only; "xavier" filler (uniform,
    variance 1 / fan_in) for the weights, zero biases.

    Departures: the scores are raw, softmax belongs to the loss; ``dropout`` after fc1, where the recipe sets it,
    is neither the study's nor Caffe's. Caffe pools an odd size up, this down; 28x28 and 20x20 meet no odd size.
    """

    def __init__(self, spec: recipe.LeNet, input_shape: tuple[int, int, int], classes: int) -> None:
        """Build for images (C, H, W); InputError where H or W is below 16 pixels."""
        super().__init__(prefix="lenet_")
        channels, height, width = input_shape
        first, second = stages(height, width)
        rows, columns = pooled_size(height, width, (first, second), spec.name)
        with self.name_scope():
            self.conv1 = convolution(first, 20, channels, "conv1")
            self.pool1 = pooling("pool1")
            self.conv2 = convolution(second, 50, 20, "conv2")
            self.pool2 = pooling("pool2")
            self.fc1 = dense(spec.fc1, 50 * rows * columns, "fc1", activation="relu")
            if spec.dropout > 0:
                self.dropout1 = mx.gluon.nn.Dropout(spec.dropout, prefix="dropout1_")
            self.fc2 = dense(classes, spec.fc1, "fc2")
