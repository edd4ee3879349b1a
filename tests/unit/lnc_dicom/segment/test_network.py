import pytest
import torch

from lnc_dicom.segment.network import UNet, UNetArchitecture, _InstanceNorm, load_weights, save_weights


def test_weights_come_back_as_they_were_saved(tmp_path):
    network = UNet(UNetArchitecture((4, 8), 3)).eval()
    save_weights(tmp_path / "w.safetensors", network, {})
    again = load_weights(tmp_path / "w.safetensors")
    image = torch.rand(1, 1, 8, 8, 8)
    torch.testing.assert_close(again(image), network(image), atol=2e-2, rtol=2e-2)


def test_the_bottleneck_is_the_coarsest_level():
    architecture = UNetArchitecture((4, 8, 16), 3)
    logits, bottleneck = UNet(architecture).with_bottleneck(torch.rand(1, 1, 8, 16, 8))
    assert logits.shape == (1, 3, 8, 16, 8)
    assert bottleneck.shape == (1, 16, 2, 4, 2)
    assert architecture.multiple == 4


def test_an_image_that_is_no_multiple_of_the_coarsest_grid_does_not_fit():
    with pytest.raises(RuntimeError):
        UNet(UNetArchitecture((4, 8, 16), 3))(torch.rand(1, 1, 8, 10, 8))


@pytest.mark.parametrize("training", [True, False])
def test_the_normalisation_gives_the_numbers_of_torch(training):
    image = 3 * torch.rand(1, 4, 6, 6, 6) + 1
    ours, theirs = (kind(4, affine=True).train(training) for kind in (_InstanceNorm, torch.nn.InstanceNorm3d))
    torch.testing.assert_close(ours(image), theirs(image))
