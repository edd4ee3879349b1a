import torch
from monai.networks.nets.resnet import ResNet, ResNetBlock

from lnc_dicom.biomarker.resnet import ResNet18


def test_weights_fit_monais_resnet18_and_give_the_same_outputs():
    torch.manual_seed(1)
    ours = ResNet18(3, 8, 512)
    for module in ours.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.normal_(module.running_mean, 0, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.weight, 1, 0.2)
    theirs = ResNet(
        ResNetBlock,
        [2, 2, 2, 2],
        [8, 16, 32, 64],
        n_input_channels=3,
        conv1_t_size=5,
        conv1_t_stride=2,
        no_max_pool=True,
        num_classes=512,
    )
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = torch.randn(2, 3, 32, 40, 32)
    for network in (ours, theirs):
        network.eval()
    torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)
    for network in (ours, theirs):
        network.train()
    torch.testing.assert_close(ours(images), theirs(images), atol=1e-4, rtol=1e-4)
