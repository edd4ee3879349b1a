import torch

from lnc_dicom.autocast import learning_precision


def test_a_cpu_learns_in_single_precision():
    layer = torch.nn.Linear(2, 2)
    with learning_precision("cpu"):
        assert layer(torch.ones(1, 2)).dtype == torch.float32


def test_gradients_of_a_small_convolution_are_numbers_whatever_lay_in_the_memory():
    torch.manual_seed(1)
    layer = torch.nn.Conv3d(128, 128, 3, padding=1)
    for _ in range(12):
        layer.zero_grad()
        soiled = [torch.full((128, 128, 27), float("nan")) for _ in range(8)]
        del soiled
        with learning_precision("cpu"):
            layer(torch.randn(16, 128, 2, 3, 2)).square().mean().backward()
        assert torch.isfinite(layer.weight.grad).all()
