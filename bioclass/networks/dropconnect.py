"""DropConnect: table 3 of Tabik et al. 2017, after Wan et al. 2013, "Regularization ... using DropConnect"."""

from __future__ import annotations

from bioclass import recipe
from bioclass.networks.blocks import Chain
from bioclass.networks.layers import DropConnectDense, TwoGraphs, convolution, dense, pooled_size, pooling
from bioclass.networks.lenet import stages


class DropConnect(TwoGraphs, Chain):
    """Two convolutions (32 and 64 channels, each pooled), fc1 with drop-connect: (N, C, H, W) to (N, classes).

    Table 3: the convolutions have no activation, fc1 has 150 units, ReLU and drop-connect at rate 0.5. As in
    LeNet the 7x7 filter for 20x20 images has stride 1 and padding 3. ``DropConnectDense`` says how fc1 follows
    Wan et al. Hybridized, the network keeps one graph for training and one for prediction.

    Departure: Wan et al. draw the weights from Gaussians whose width they tuned; here they are Xavier (uniform,
    variance 1 / fan_in) with zero biases, as in the study's other networks. The study does not say.
    """

    def __init__(self, spec: recipe.DropConnect, input_shape: tuple[int, int, int], classes: int) -> None:
        """Build for images (C, H, W); InputError where H or W is below 16 pixels."""
        super().__init__(prefix="dropconnect_")
        channels, height, width = input_shape
        first, second = stages(height, width)
        rows, columns = pooled_size(height, width, (first, second), spec.name)
        with self.name_scope():
            self.conv1 = convolution(first, 32, channels, "conv1")
            self.pool1 = pooling("pool1")
            self.conv2 = convolution(second, 64, 32, "conv2")
            self.pool2 = pooling("pool2")
            self.fc1 = DropConnectDense(
                spec.fc1, 64 * rows * columns, rate=spec.rate, inference=spec.inference, prefix="fc1_"
            )
            self.fc2 = dense(classes, spec.fc1, "fc2")
