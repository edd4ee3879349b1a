import copy

import highdicom as hd
import numpy as np
import pytest
import torch
from scipy import ndimage

from lnc_dicom.biomarker.calibration import BiomarkerCalibration
from lnc_dicom.biomarker.crops import SHAPE, grid_of, structures_of, without_margin
from lnc_dicom.biomarker.gradcam import LAYER, attribution, attributions, explain_targets, place_back
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.predictions import Model, Target
from tests.factories import LAYOUTS, BoxSegmenter, head, layout
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, REGIONS, make_cohort

PLAIN = BiomarkerCalibration((((0.25, 0.03), (50.0, 9.0)),) * 2, (1.7, 1.6), (3.3, 1.0), (0.4, 0.9), 0.8, 1.4, 1.3, 80)


@pytest.fixture(scope="module")
def model(trained):
    return BiomarkerModel(trained.network, PLAIN, PLAIN, GROUPS, Model("m", "1", "0"), demonstration=True)


@pytest.mark.parametrize("target", Target)
def test_every_target_has_an_attribution_per_region(trained, target):
    crops = without_margin(make_cohort(1, 9).crops)[0]
    maps = attribution(trained.network, crops, target)
    assert maps.shape == (2 * len(REGIONS), *SHAPE)
    assert float(maps.min()) >= 0


class OneTarget(torch.nn.Module):
    """Crops of one patient → the one number that MONAI explains."""

    def __init__(self, network, target, sign):
        super().__init__()
        self.network, self.target, self.sign = network, target, sign

    def forward(self, crops):
        outputs = self.network(crops[None])
        logits = outputs.groups[0]
        value = {
            Target.FA: outputs.maps[..., 0].sum(),
            Target.CBF: outputs.maps[..., 1].sum(),
            Target.STEMS: outputs.stems.sum(),
            Target.DISEASE: logits[int(logits.argmax())] - logits.mean(),
        }[self.target]
        return (self.sign * value).reshape(1, 1)


def _of_monai(network, crops, target):
    network = copy.deepcopy(network)  # MONAI leaves its hooks behind
    from monai.visualize.class_activation_maps import GradCAM

    total = 0
    for sign in (1.0,) if target is Target.DISEASE else (1.0, -1.0):
        wrapped = OneTarget(network, target, sign).eval()
        layer = f"network.backbone.{LAYER}"
        found = GradCAM(wrapped, layer, postprocessing=lambda x: x, register_backward=True)(crops, class_idx=0)
        total = total + torch.relu(torch.as_tensor(found)[:, 0]).detach()
    return total


@pytest.mark.parametrize("target", Target)
def test_grad_cam_is_that_of_monai(trained, target):
    crops = without_margin(make_cohort(1, 9).crops)[0].float()
    expected = _of_monai(trained.network, crops, target)
    assert float(expected.max()) > 0
    found = attribution(trained.network, crops, target)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.max()))


def test_targets_explained_together_give_the_same_as_alone(trained, model):
    crops = without_margin(make_cohort(1, 9).crops)[0].float()
    together = attributions(trained.network, crops, tuple(Target))
    for target, maps in together.items():
        torch.testing.assert_close(maps, attribution(trained.network, crops, target))
    volume = hd.Volume(*head(), coordinate_system="PATIENT")
    labels = BoxSegmenter()(volume).labels
    explained = explain_targets(model, volume, labels, tuple(Target))
    assert list(explained) == list(Target)
    alone = explain_targets(model, volume, labels, (Target.STEMS,))[Target.STEMS]
    np.testing.assert_array_equal(explained[Target.STEMS].array, alone.array)


def test_an_explanation_leaves_no_hook_and_no_gradient_in_the_network(trained):
    network = copy.deepcopy(trained.network)
    network.zero_grad(set_to_none=True)
    before = len(network.backbone.get_submodule(LAYER)._forward_hooks)
    attribution(network, without_margin(make_cohort(1, 9).crops)[0].float(), Target.FA)
    assert len(network.backbone.get_submodule(LAYER)._forward_hooks) == before
    assert all(p.grad is None for p in network.parameters())


def test_the_attribution_is_high_where_the_information_is(trained):
    """The crops of the fixture tell everything by the ball in their middle."""
    crops = without_margin(make_cohort(12, 9).crops)
    maps = torch.stack([attribution(trained.network, one, Target.FA) for one in crops]).numpy()
    inside = ndimage.binary_dilation(crops[:, :, 1].numpy() > 0.5, np.ones((1, 1, 5, 5, 5)))
    assert maps[inside].mean() > 1.5 * maps[~inside].mean()


@pytest.mark.parametrize(("order", "signs"), LAYOUTS[::11])
def test_a_crop_is_mapped_back_to_where_it_was_cut(order, signs):
    volume = hd.Volume(*layout(*head(), order, signs), coordinate_system="PATIENT")
    labels = BoxSegmenter()(volume).labels
    for structure in structures_of(REGIONS):
        target = np.zeros(volume.shape, np.float32)
        ball = np.zeros(SHAPE, np.float32)
        ball[12:20, 16:24, 12:20] = 1
        place_back(target, volume, grid_of(labels, structure), ball)
        middle = np.array(ndimage.center_of_mass(target))
        wanted = np.array(ndimage.center_of_mass(labels.array == structure.label))
        np.testing.assert_allclose(middle, wanted, atol=0.6)


def test_the_saliency_of_a_study_lies_on_its_grid_between_0_and_1(model):
    volume = hd.Volume(*head(), coordinate_system="PATIENT")
    labels = BoxSegmenter()(volume).labels
    saliency = explain_targets(model, volume, labels, (Target.STEMS,))[Target.STEMS]
    np.testing.assert_array_equal(saliency.affine, volume.affine)
    assert saliency.array.max() == pytest.approx(1)
    assert saliency.array.min() >= 0
