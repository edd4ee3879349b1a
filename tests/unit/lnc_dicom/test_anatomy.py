from lnc_dicom.anatomy import DEEP_GREY, STRUCTURES, Side


def test_labels_count_from_one_without_gaps():
    assert [s.label for s in STRUCTURES] == list(range(1, len(STRUCTURES) + 1))


def test_left_and_right_alternate_and_share_everything_but_the_side():
    for left, right in zip(STRUCTURES[::2], STRUCTURES[1::2], strict=True):
        assert (left.side, right.side) == (Side.LEFT, Side.RIGHT)
        assert (left.name, left.rgb, left.territory) == (right.name, right.rgb, right.territory)


def test_every_title_is_unique_and_names_the_side():
    titles = {s.title for s in STRUCTURES}
    assert len(titles) == len(STRUCTURES)
    assert all(s.side.value in s.title for s in STRUCTURES)


def test_population_norms_lie_within_the_plausible_range():
    for s in STRUCTURES:
        if s.norm_ml is not None:
            assert s.plausible_ml[0] < s.norm_ml - 3 * s.norm_sd_ml
            assert s.norm_ml + 3 * s.norm_sd_ml < s.plausible_ml[1]


def test_ventricle_and_capsule_are_not_deep_grey_matter():
    assert {s.name for s in STRUCTURES} - {s.name for s in DEEP_GREY} == {"lateral ventricle", "internal capsule"}
