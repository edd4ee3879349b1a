import torch

from lnc_dicom.biomarker.crops import SHAPE
from lnc_dicom.biomarker.network import (
    FEATURES,
    BiomarkerArchitecture,
    BiomarkerNetwork,
    initialised_from,
    load_network,
    ready,
    save_network,
    standardised_demographics,
)

ARCHITECTURE = BiomarkerArchitecture(("caudate", "putamen", "pallidum"), 3)


def _noisy():
    torch.manual_seed(3)
    network = BiomarkerNetwork(ARCHITECTURE)
    for p in network.parameters():
        torch.nn.init.normal_(p, 0, 0.05)
    return ready(network)


def test_it_is_a_resnet_of_eighteen_layers():
    network = BiomarkerNetwork(ARCHITECTURE)
    convolutions = [m for m in network.backbone.modules() if isinstance(m, torch.nn.Conv3d) and m.kernel_size[0] > 1]
    assert len(convolutions) + 1 == 18  # and the layer that gives the features


def test_every_region_has_512_deep_features():
    outputs = _noisy()(torch.randn(2, 6, 2, *SHAPE))
    assert outputs.features.shape == (2, 6, FEATURES) == (2, 6, 512)
    assert outputs.maps.shape == outputs.log_sd.shape == (2, 6, 2)
    assert outputs.stems.shape == (2, 2)
    assert outputs.groups.shape == (2, 3)


def test_both_sides_share_one_network():
    crops = torch.randn(1, 6, 2, *SHAPE)
    plain, exchanged = (_noisy()(c) for c in (crops, crops[:, [3, 4, 5, 0, 1, 2]]))
    torch.testing.assert_close(plain.stems, exchanged.stems.flip(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(plain.maps[:, :3], exchanged.maps[:, 3:], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(plain.groups, exchanged.groups, atol=1e-4, rtol=1e-4)


def test_weights_are_stored_in_half_precision(tmp_path):
    network = _noisy()
    save_network(tmp_path / "n.safetensors", network, {"note": "x"})
    again = load_network(tmp_path / "n.safetensors")
    assert again.architecture == ARCHITECTURE
    crops = torch.randn(1, 6, 2, *SHAPE)
    torch.testing.assert_close(again(crops).maps, network(crops).maps, atol=0.05, rtol=0.05)


def test_a_network_for_other_categories_keeps_the_backbone_of_the_trained_one():
    network = _noisy()
    other = initialised_from(network, BiomarkerArchitecture(ARCHITECTURE.regions, 2))
    assert other.groups.out_features == 2
    assert torch.equal(other.backbone.conv1.weight, network.backbone.conv1.weight)
    assert torch.equal(other.stems.weight, network.stems.weight)


def test_a_missing_region_counts_as_the_mean_of_the_training_patients():
    network = _noisy()
    crops = torch.randn(1, 6, 2, *SHAPE)
    other = crops.clone()
    crops[:, 1, 1], other[:, 1, 1] = 0, 0
    other[:, 1, 0] = 5.0
    outputs = network(crops)
    torch.testing.assert_close(outputs.stems, network(other).stems)
    assert float(outputs.distance[0, 1].detach()) == 0


def test_only_the_residual_of_age_changes_the_predictions():
    network = _noisy()
    crops = torch.randn(1, 6, 2, *SHAPE)
    image_only = network(crops)
    as_seen, older, unknown = (
        network(crops, image_only.demographics + torch.tensor([[more, 0.0]])) for more in (0.0, 1.0, float("nan"))
    )
    torch.testing.assert_close(as_seen.maps, image_only.maps)
    torch.testing.assert_close(unknown.groups, image_only.groups)
    effect = network.residual_effect.weight[:, 0]
    torch.testing.assert_close((older.maps - image_only.maps)[0, :3].flatten(), effect[:6], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close((older.maps - image_only.maps)[0, 3:].flatten(), effect[:6], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close((older.stems - image_only.stems)[0], effect[6].expand(2), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close((older.groups - image_only.groups)[0], effect[7:], atol=1e-5, rtol=1e-4)


def test_age_and_sex_are_standardised_by_57_years_and_equal_shares_of_men_and_women():
    found = standardised_demographics([[69.0, 1.0], [57.0, 0.0], [float("nan"), 1.0]])
    assert found[:2].tolist() == [[1.0, 1.0], [0.0, -1.0]]
    assert torch.isnan(found[2, 0])
    assert found[2, 1] == 1


def test_the_distance_of_training_patients_is_about_one():
    torch.manual_seed(5)
    network = BiomarkerNetwork(ARCHITECTURE)
    with torch.no_grad():
        for scale, found in ((1.0, 1.0), (4.0, 4.0)):
            features = 3 + 2 * scale * torch.randn(200, 6, FEATURES)
            if scale == 1:
                network.level.momentum = None  # the mean of all that was seen
                network.train()
                network.heads(features)
                network.eval()
            assert abs(float(network.heads(features).distance.mean()) - found) < 0.1 * found
