"""The network: a plain 3D U-Net, and its weights on disk.

Written out rather than taken from MONAI because importing MONAI takes about 2 s of every start
(docs/decisions/0003-own-u-net.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class UNetArchitecture:
    """The shape of a U-Net.

    channels
        Feature maps per level; each level after the first halves the grid.
    classes
        Output channels, background included.
    """

    channels: tuple[int, ...]
    classes: int

    @property
    def multiple(self) -> int:
        """Every axis of the input must be a multiple of this."""
        return int(2 ** (len(self.channels) - 1))


class _InstanceNorm(nn.InstanceNorm3d):
    """Instance normalisation of a single image, which is what batch normalisation of a batch of one is.

    torch's own copies the image out of the channels-last layout and back; this way both training and inference take
    two thirds of the time, with the same numbers.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Normalise every channel of (1, C, L, P, S)."""
        return functional.batch_norm(image, None, None, self.weight, self.bias, training=True, eps=self.eps)


class _Block(nn.Sequential):
    """Two convolutions, each with instance normalisation; the first may halve the grid."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False),
            _InstanceNorm(outputs, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv3d(outputs, outputs, 3, padding=1, bias=False),
            _InstanceNorm(outputs, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        )


class UNet(nn.Module):
    """U-Net (Ronneberger 2015; Cicek 2016) of one input channel: (1, 1, L, P, S) → logits (1, classes, L, P, S)."""

    def __init__(self, architecture: UNetArchitecture) -> None:
        super().__init__()
        channels = architecture.channels
        self.architecture = architecture
        self.first = _Block(1, channels[0])
        self.down = nn.ModuleList(_Block(a, b, 2) for a, b in pairwise(channels))
        pairs = list(zip(channels[::-1], channels[-2::-1], strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, 2, bias=False) for a, b in pairs)
        self.merge = nn.ModuleList(_Block(2 * b, b) for _, b in pairs)
        self.last = nn.Conv3d(channels[0], architecture.classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of every class in every voxel."""
        return self.with_bottleneck(image)[0]

    def with_bottleneck(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the features of the coarsest level."""
        skips = [self.first(image)]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = bottleneck = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], dim=1))
        return self.last(x), bottleneck


def channels_last(network: UNet, device: str = "cpu") -> UNet:
    """Move a network to a device, in the memory layout in which convolutions are fastest."""
    network.to(device)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in torch's stubs
    return network


def save_weights(path: Path, network: UNet, about: Mapping[str, str]) -> None:
    """Write weights as float16 safetensors with their architecture and notes in the header."""
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, path, {"architecture": json.dumps(asdict(network.architecture)), **about})


def load_weights(path: Path) -> UNet:
    """Build the network that a weights file describes, ready for inference in float32."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["architecture"])
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a mapping
    network = UNet(UNetArchitecture(tuple(about["channels"]), about["classes"]))
    network.load_state_dict(tensors)
    return channels_last(network.eval())
