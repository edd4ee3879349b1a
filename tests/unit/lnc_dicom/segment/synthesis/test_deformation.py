import dataclasses

import numpy as np
import torch

from lnc_dicom.segment.stages import LABEL
from lnc_dicom.segment.synthesis.deformation import where_to_look
from lnc_dicom.segment.synthesis.label_maps import LabelMap, ventricle_push
from lnc_dicom.segment.synthesis.rng import Draw

STILL = dataclasses.replace(
    LABEL.recipe,
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
    push = ventricle_push(ball, (1.0, 1.0, 1.0))
    assert np.sqrt((push**2).sum(0)).max() <= 1.0 + 1e-6
    head = LabelMap("ball", ball.astype(np.uint8), (1.0, 1.0, 1.0), (45.0, 45.0, 45.0), push)
    sizes = []
    for seed in range(30):
        index = where_to_look(head, STILL, Draw(seed), mirrored=False).round().long().clamp(0, 89)
        sizes.append(int(torch.from_numpy(head.codes)[index[..., 0], index[..., 1], index[..., 2]].sum()))
    assert max(sizes) > 1.6 * ball.sum()
    assert sorted(sizes)[len(sizes) // 2] < 1.3 * ball.sum()
