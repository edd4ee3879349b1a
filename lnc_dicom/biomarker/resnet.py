"""MONAI's 3D ResNet18, reimplemented: the same layers, names and numbers without the 2.5 s that importing it takes.

The weights fit `monai.networks.nets.resnet.ResNet` unchanged; a test compares the outputs of both
(docs/decisions/0009-biomarker-network.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _BasicBlock(nn.Module):
    """Two convolutions with a shortcut (He 2016); with stride 2 the shortcut is a convolution too."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride), nn.BatchNorm3d(outputs)) if stride > 1 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, L, P, S) → (n, outputs, L / stride, P / stride, S / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + shortcut)


class ResNet18(nn.Module):
    """(n, channels, L, P, S) → (n, features): a 5³ convolution of stride 2, four stages of two blocks, global mean."""

    def __init__(self, channels: int, width: int, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 5, 2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.layer1 = nn.Sequential(_BasicBlock(width, width, 1), _BasicBlock(width, width, 1))
        self.layer2 = nn.Sequential(_BasicBlock(width, 2 * width, 2), _BasicBlock(2 * width, 2 * width, 1))
        self.layer3 = nn.Sequential(_BasicBlock(2 * width, 4 * width, 2), _BasicBlock(4 * width, 4 * width, 1))
        self.layer4 = nn.Sequential(_BasicBlock(4 * width, 8 * width, 2), _BasicBlock(8 * width, 8 * width, 1))
        self.fc = nn.Linear(8 * width, features)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, features) of every image."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        with torch.autocast(x.device.type, enabled=False):  # people differ by less than half precision resolves
            return torch.as_tensor(self.fc(x.float().mean(dim=(2, 3, 4))))
