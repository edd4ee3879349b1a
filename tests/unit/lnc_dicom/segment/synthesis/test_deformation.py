import dataclasses

import numpy as np
import torch

from lnc_dicom.segment.synthesis.deformation import deformed_grid
from lnc_dicom.segment.synthesis.label_maps import LabelMap, ventricle_displacement
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.train.stages import LABEL

STILL = dataclasses.replace(
    LABEL.synthesis,
    shape=(60, 60, 60),
    spacing_mm=1.0,
    rotation_deg=0.0,
    scale=0.0,
    shear=0.0,
    centre_low_mm=(0, 0, 0),
    centre_high_mm=(0, 0, 0),
)


def test_ventricles_are_wider_or_narrower_in_some_heads():
    z = np.indices((90, 90, 90)) - 45
    ball = (z**2).sum(0) < 10**2
    displacement = ventricle_displacement(ball, (1.0, 1.0, 1.0))
    assert np.sqrt((displacement**2).sum(0)).max() <= 1.0 + 1e-6
    head = LabelMap("ball", ball.astype(np.uint8), (1.0, 1.0, 1.0), (45.0, 45.0, 45.0), displacement)
    sizes = []
    for seed in range(30):
        index = deformed_grid(head, STILL, Rng(seed), mirrored=False).round().long().clamp(0, 89)
        sizes.append(int(torch.from_numpy(head.codes)[index[..., 0], index[..., 1], index[..., 2]].sum()))
    assert max(sizes) > 1.6 * ball.sum()
    assert sorted(sizes)[len(sizes) // 2] < 1.3 * ball.sum()
