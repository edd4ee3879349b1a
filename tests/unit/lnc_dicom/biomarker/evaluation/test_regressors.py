import numpy as np
from scipy.special import softmax
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from lnc_dicom.biomarker.evaluation.design import Columns
from lnc_dicom.biomarker.evaluation.regressors import PENALTIES, classify, conformal, regress, rotate, temperature_of

FEW = np.zeros((60, 0))
FOLD = np.arange(60) % 5


def test_the_rotation_keeps_every_distance(chance):
    train, test = chance.normal(size=(20, 50)) * 3 + 1, chance.normal(size=(5, 50))
    scaler = StandardScaler().fit(train)
    rotated, _ = rotate(train, test)
    plain = scaler.transform(train)
    assert rotated.shape == (20, 20)
    assert np.allclose(rotated @ rotated.T, plain @ plain.T)


def test_the_ridge_is_that_of_scikit_learn_at_its_best_penalty(chance):
    x = chance.uniform(-1, 1, size=(60, 10))
    y = x[:, :1] + chance.normal(size=(60, 1))
    found = regress(Columns(FEW, x), y, FOLD, Columns(FEW[:9], x[:9]), [1.0])
    z = StandardScaler().fit_transform(x)

    def held_out(penalty):
        error = np.zeros(60)
        for f in range(5):
            fitted = Ridge(penalty).fit(z[f != FOLD], y[f != FOLD, 0])
            error[f == FOLD] = y[f == FOLD, 0] - fitted.predict(z[f == FOLD])
        return np.mean(error**2)

    losses = [held_out(p) for p in PENALTIES]
    best = Ridge(PENALTIES[np.argmin(losses)]).fit(z, y[:, 0])
    assert np.allclose(found.value[:, 0], best.predict(z[:9]))
    assert np.isclose(found.sd[0], np.sqrt(min(losses)))


def test_one_unheard_of_prediction_does_not_decide_the_score(chance):
    x = chance.uniform(-1, 1, size=(60, 1))
    y = x + 0.1 * chance.normal(size=(60, 1))
    strange = np.array([[50.0]])
    found = regress(Columns(FEW, x), y, FOLD, Columns(FEW[:1], strange), [1.0])
    assert found.value[0, 0] < 3.5 * y.std()


def test_targets_together_give_what_they_give_alone(chance):
    x, y = chance.normal(size=(60, 8)), chance.normal(size=(60, 3))
    y[:, 1] += 2 * x[:, 0]
    columns, test = Columns(x, x[:, :2]), Columns(x[:9], x[:9, :2])
    together = regress(columns, y, FOLD, test, [1.0, 10.0])
    alone = regress(columns, y[:, 1:2], FOLD, test, [1.0, 10.0])
    assert np.allclose(together.value[:, 1], alone.value[:, 0])
    assert np.allclose(together.half[1], alone.half[0])


def test_noise_is_predicted_by_about_its_mean(chance):
    x, y = chance.normal(size=(60, 30)), chance.normal(size=(60, 1))
    found = regress(Columns(x, x[:, :0]), y, FOLD, Columns(x[:9] * 0, x[:9, :0]), [1.0])
    assert np.allclose(found.value, y.mean(), atol=0.2)


def test_a_weighted_column_wins_over_many_plain_ones(chance):
    y = chance.normal(size=(60, 1))
    plain = chance.normal(size=(60, 200))
    strong = y + 0.3 * chance.normal(size=(60, 1))
    fitted = [regress(Columns(plain, strong), y, FOLD, Columns(plain, strong), [w]).sd[0] for w in (1.0, 30.0)]
    assert fitted[1] < 0.5 * fitted[0]


def test_conformal_intervals_hold_nine_of_ten(chance):
    residual = chance.normal(size=(500, 1))
    half = conformal(residual)[0]
    assert np.isclose((np.abs(residual) <= half).mean(), 0.902)
    assert np.isclose(half, 1.645, atol=0.15)


def test_probabilities_of_noise_are_even_and_those_of_signal_are_not(chance):
    y = np.arange(60) % 3
    noise, signal = chance.normal(size=(60, 20)), np.eye(3)[y] * 3 + chance.normal(size=(60, 3))
    even = classify(Columns(FEW, noise), y, FOLD, Columns(FEW, noise), [1.0], 3)
    sure = classify(Columns(FEW, signal), y, FOLD, Columns(FEW, signal), [1.0], 3)
    assert np.allclose(even.sum(axis=1), 1)
    assert even.max() < 0.6
    assert sure[np.arange(60), y].mean() > 0.75


def test_the_temperature_undoes_overconfidence(chance):
    logits = chance.normal(size=(4000, 3))
    y = np.array([chance.choice(3, p=p) for p in softmax(logits, axis=1)])
    assert np.isclose(temperature_of(4 * logits, y), 4, rtol=0.1)
