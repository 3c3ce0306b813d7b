"""Network3: table 2 of Tabik et al. 2017, after Nielsen's "Neural networks and deep learning", chapter 6."""

from __future__ import annotations

from bioclass import recipe
from bioclass.backend import mx
from bioclass.networks.blocks import Chain
from bioclass.networks.layers import Stage, convolution, dense, pooled_size, pooling

STAGES: tuple[Stage, ...] = ((5, 0), (5, 0))
STAGES_20: tuple[Stage, ...] = ((3, 0), (2, 0))  # for 20x20 images; both give 4x4 x 40 = 640 features


class Network3(Chain):
    """Two convolutions (20 and 40 channels, ReLU, pooled), two hidden layers: (N, C, H, W) to (N, classes).

    Table 2's "fc1 640, fc2 1000" is read as Nielsen's network has it, 640 features to 1000 to 1000 (1,672,570
    parameters); ``hidden = [640, 1000]`` is the other reading (1,081,810).

    After Nielsen: ReLU everywhere but in the classes, dropout around both hidden layers.

    Departures: his code also drops the features that enter fc1, the table puts dropout on the hidden layers, and
    so does this. His weights start as Gaussians of variance 1 / fan_out with biases of variance 1 (zeros in the
    last layer); here the weights are Xavier (uniform, variance 1 / fan_in) and the biases zero, as in the
    study's other networks, which trains from the first epoch at learning rate 0.03.
    """

    def __init__(self, spec: recipe.Network3, input_shape: tuple[int, int, int], classes: int) -> None:
        """Build for images (C, H, W); InputError where H or W is below 16 pixels."""
        super().__init__(prefix="network3_")
        channels, height, width = input_shape
        first, second = STAGES_20 if (height, width) == (20, 20) else STAGES
        rows, columns = pooled_size(height, width, (first, second), spec.name)
        with self.name_scope():
            self.conv1 = convolution(first, 20, channels, "conv1")
            # ReLU and the maximum commute: after pooling it has a quarter of the work.
            self.pool1 = pooling("pool1")
            self.relu1 = mx.gluon.nn.Activation("relu", prefix="relu1_")
            self.conv2 = convolution(second, 40, 20, "conv2")
            self.pool2 = pooling("pool2")
            self.relu2 = mx.gluon.nn.Activation("relu", prefix="relu2_")
            self.fc1 = dense(spec.hidden[0], 40 * rows * columns, "fc1", activation="relu")
            if spec.dropout > 0:
                self.dropout1 = mx.gluon.nn.Dropout(spec.dropout, prefix="dropout1_")
            self.fc2 = dense(spec.hidden[1], spec.hidden[0], "fc2", activation="relu")
            if spec.dropout > 0:
                self.dropout2 = mx.gluon.nn.Dropout(spec.dropout, prefix="dropout2_")
            self.fc3 = dense(classes, spec.hidden[1], "fc3")
