import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from lnc_dicom.biomarker.evaluation.design import DesignMatrix
from lnc_dicom.biomarker.evaluation.regressors import PENALTIES, classify, regress, rotate

FEW = np.zeros((60, 0))
FOLD = np.arange(60) % 5


def test_the_rotation_keeps_every_distance(rng):
    train, test = rng.normal(size=(20, 50)) * 3 + 1, rng.normal(size=(5, 50))
    scaler = StandardScaler().fit(train)
    rotated, _ = rotate(train, test)
    features = scaler.transform(train)
    assert rotated.shape == (20, 20)
    assert np.allclose(rotated @ rotated.T, features @ features.T)


def test_the_ridge_regression_is_that_of_scikit_learn_with_the_best_penalty(rng):
    x = rng.uniform(-1, 1, size=(60, 10))
    y = x[:, :1] + rng.normal(size=(60, 1))
    found = regress(DesignMatrix(FEW, x), y, FOLD, DesignMatrix(FEW[:9], x[:9]), [1.0])
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


def test_an_extreme_predictor_is_clipped(rng):
    x = rng.uniform(-1, 1, size=(60, 1))
    y = x + 0.1 * rng.normal(size=(60, 1))
    extreme = np.array([[50.0]])
    found = regress(DesignMatrix(FEW, x), y, FOLD, DesignMatrix(FEW[:1], extreme), [1.0])
    assert found.value[0, 0] < 3.5 * y.std()


def test_targets_fitted_together_give_the_same_as_alone(rng):
    x, y = rng.normal(size=(60, 8)), rng.normal(size=(60, 3))
    y[:, 1] += 2 * x[:, 0]
    columns, test = DesignMatrix(x, x[:, :2]), DesignMatrix(x[:9], x[:9, :2])
    together = regress(columns, y, FOLD, test, [1.0, 10.0])
    alone = regress(columns, y[:, 1:2], FOLD, test, [1.0, 10.0])
    assert np.allclose(together.value[:, 1], alone.value[:, 0])
    assert np.allclose(together.half_width[1], alone.half_width[0])


def test_without_signal_the_prediction_is_about_the_mean(rng):
    x, y = rng.normal(size=(60, 30)), rng.normal(size=(60, 1))
    found = regress(DesignMatrix(x, x[:, :0]), y, FOLD, DesignMatrix(x[:9] * 0, x[:9, :0]), [1.0])
    assert np.allclose(found.value, y.mean(), atol=0.2)


def test_a_predictor_with_a_large_weight_dominates_many_features(rng):
    y = rng.normal(size=(60, 1))
    features = rng.normal(size=(60, 200))
    predictors = y + 0.3 * rng.normal(size=(60, 1))
    fitted = [
        regress(DesignMatrix(features, predictors), y, FOLD, DesignMatrix(features, predictors), [w]).sd[0]
        for w in (1.0, 30.0)
    ]
    assert fitted[1] < 0.5 * fitted[0]


def test_conformal_intervals_cover_nine_of_ten_new_samples(rng):
    x = rng.normal(size=(60, 3))
    y = x[:, :1] + rng.normal(size=(60, 1))
    half_width = regress(DesignMatrix(FEW, x), y, FOLD, DesignMatrix(FEW[:9], x[:9]), [1.0]).half_width[0]
    new = rng.normal(size=(4000, 3))
    found = regress(DesignMatrix(FEW, x), y, FOLD, DesignMatrix(np.zeros((4000, 0)), new), [1.0])
    error = new[:, 0] + rng.normal(size=4000) - found.value[:, 0]
    assert np.isclose((np.abs(error) <= half_width).mean(), 0.9, atol=0.05)


def test_probabilities_are_even_without_signal_and_sharp_with_it(rng):
    y = np.arange(60) % 3
    noise, signal = rng.normal(size=(60, 20)), np.eye(3)[y] * 3 + rng.normal(size=(60, 3))
    even = classify(DesignMatrix(FEW, noise), y, FOLD, DesignMatrix(FEW, noise), [1.0], 3)
    sure = classify(DesignMatrix(FEW, signal), y, FOLD, DesignMatrix(FEW, signal), [1.0], 3)
    assert np.allclose(even.sum(axis=1), 1)
    assert even.max() < 0.6
    assert sure[np.arange(60), y].mean() > 0.75
