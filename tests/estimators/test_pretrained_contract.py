"""scikit-learn's contract of the pretrained estimators: its own checks, and its tools."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import (
    Autoencoder,
    PretrainedClassifier,
    PretrainedRegressor,
)

CHECKED = {"max_epochs": 30, "learning_rate": 1e-2, "batch_size": 16, "random_state": 0}
QUICK = Autoencoder(4, hidden=(8,), max_epochs=2)


@parametrize_with_checks(
    [PretrainedClassifier(QUICK, **CHECKED), PretrainedRegressor(QUICK, **CHECKED)]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
