"""A small network after VGG, for images of any size."""

from __future__ import annotations

from bioclass import recipe
from bioclass.backend import mx
from bioclass.errors import InputError
from bioclass.networks.blocks import Chain
from bioclass.networks.layers import GlobalAverage, dense, pooling

nn = mx.gluon.nn


class VGG(Chain):
    """Stages of 3x3 convolutions with 2x2 max pooling between them: (N, C, H, W) to (N, classes).

    After Simonyan and Zisserman 2015: every convolution keeps the size of its input, has no neighbour but the one
    before and the one after, and is followed by ReLU. Two habits came later: each convolution is followed by batch
    normalisation (Ioffe and Szegedy 2015), so that it needs no bias, and instead of fully connected layers the
    features are averaged over the image (Lin, Chen and Yan 2014), so that the parameters do not depend on its size.
    Weights are Gaussian with variance 2 / fan_in (He et al. 2015), those of the classes Xavier with zero biases.

    The running statistics have momentum 0.9 and 1e-5 is added to the variance. On a processor batch normalisation
    and ReLU together cost less than a tenth of the convolutions, in training and in prediction.
    """

    def __init__(self, spec: recipe.VGG, input_shape: tuple[int, int, int], classes: int) -> None:
        """Build for images (C, H, W); InputError where nothing would be left after the last pooling."""
        super().__init__(prefix="vgg_")
        channels, height, width = input_shape
        least = 2 ** (len(spec.stages) - 1)
        if min(height, width) < least:
            raise InputError(
                f"Images of {height}x{width} pixels are too small for the network {spec.name!r} of "
                f"{len(spec.stages)} stages, which needs at least {least}x{least}: set preprocess.size, for "
                f"example to [{max(height, least)}, {max(width, least)}], or shorten network.stages."
            )
        with self.name_scope():
            for number, stage in enumerate(spec.stages, start=1):
                if number > 1:
                    setattr(self, f"pool{number - 1}", pooling(f"pool{number - 1}"))
                for letter, filters in enumerate(stage, start=1):
                    self._add(f"{number}_{letter}", channels, filters)
                    channels = filters
            self.average = GlobalAverage(prefix="average_")
            if spec.dropout > 0:
                self.dropout = nn.Dropout(spec.dropout, prefix="dropout_")
            self.fc = dense(classes, channels, "fc")

    def _add(self, name: str, channels: int, filters: int) -> None:
        layers = {
            "conv": nn.Conv2D(
                filters,
                kernel_size=3,
                padding=1,
                use_bias=False,
                in_channels=channels,
                weight_initializer=mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2),
                prefix=f"conv{name}_",
            ),
            "norm": nn.BatchNorm(in_channels=filters, prefix=f"norm{name}_"),
            # As a layer of its own: MXNet's F.relu would not be oneDNN's.
            "relu": nn.Activation("relu", prefix=f"relu{name}_"),
        }
        for kind, layer in layers.items():
            setattr(self, f"{kind}{name}", layer)
