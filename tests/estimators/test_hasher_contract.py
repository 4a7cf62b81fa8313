"""scikit-learn's own checks on the hasher."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import SemanticHasher


# integers in [0, 1) are rows of zeros
@pytest.mark.filterwarnings("ignore:.*all zeros:isthmus.IsthmusWarning")
@parametrize_with_checks([SemanticHasher(8, max_epochs=2, decoder_hidden=(16,), rounds=1)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)
