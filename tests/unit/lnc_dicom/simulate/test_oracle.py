import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from lnc_dicom.simulate import oracle as module
from lnc_dicom.simulate.oracle import predict_with_oracle
from lnc_dicom.simulate.subjects import CohortDesign, draw_people


@pytest.fixture(autouse=True)
def _fewer_people(monkeypatch):
    monkeypatch.setattr(module, "PEOPLE", 6000)


def _skill(true, said):
    return 1 - ((true - said) ** 2).mean() / true.var()


def test_the_oracle_has_skill_for_every_target_with_an_effect_of_disease():
    people = draw_people(1500, CohortDesign(), 2)
    best = predict_with_oracle(people, CohortDesign(), 2)
    assert _skill(people.fa[:, 1], best.fa[:, 1]) > 0.3
    assert _skill(people.cbf[:, 1], best.cbf[:, 1]) > 0.15
    assert _skill(people.stems_read, best.stems) > 0.3
    assert accuracy_score(people.group, best.group.argmax(axis=1)) > 0.7


def test_the_oracle_is_not_perfect():
    people = draw_people(1500, CohortDesign(), 2)
    best = predict_with_oracle(people, CohortDesign(), 2)
    assert _skill(people.fa[:, 1], best.fa[:, 1]) < 0.7
    assert accuracy_score(people.stems_read.ravel(), best.stems_class.ravel()) < 0.65
    assert accuracy_score(people.group, best.group.argmax(axis=1)) < 0.95


def test_without_effect_the_oracle_predicts_groups_at_chance():
    people = draw_people(1500, CohortDesign(effect=0), 2)
    best = predict_with_oracle(people, CohortDesign(effect=0), 2)
    assert accuracy_score(people.group, best.group.argmax(axis=1)) == pytest.approx(1 / 3, abs=0.05)


def test_probabilities_of_the_groups_add_to_one():
    people = draw_people(40, CohortDesign(), 2)
    np.testing.assert_allclose(predict_with_oracle(people, CohortDesign(), 2).group.sum(axis=1), 1)
