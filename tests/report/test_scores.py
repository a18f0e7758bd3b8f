"""Scores of a classifier, against definitions written out."""

import folders
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinygrad_lessons import report


@given(st.data())
def test_against_the_definitions(data):
    n, k = data.draw(st.integers(1, 30)), data.draw(st.integers(2, 5))
    logits = data.draw(arrays.arrays(np.float64, (n, k), elements=st.floats(-50, 50)))
    target = data.draw(arrays.arrays(np.int64, n, elements=st.integers(0, k - 1)))
    found = report.score(logits, target)
    predicted = logits.argmax(1)
    for c in range(k):
        hits = int(((predicted == c) & (target == c)).sum())
        guesses, support = int((predicted == c).sum()), int((target == c).sum())
        assert found.support[c] == support
        for value, above, below in (
            (found.precision[c], hits, guesses),
            (found.recall[c], hits, support),
            (found.f1[c], 2 * hits, guesses + support),
        ):
            assert value == pytest.approx(above / below) if below else np.isnan(value)
        for d in range(k):
            assert found.counts[c, d] == ((target == c) & (predicted == d)).sum()
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(found.loss, -np.log(shares[np.arange(n), target]), atol=1e-9)
    np.testing.assert_allclose(found.confidence, shares.max(1), rtol=1e-9)
    assert found.accuracy == (predicted == target).mean()


def test_worst_and_confused():
    found = report.score(*folders.logits())
    assert found.worst(2).tolist() == [11, 10]
    assert found.worst(9).tolist() == [11, 10, 9]
    assert found.confused(2) == [(0, 1, 1), (1, 2, 1)]
    # -log softmax, by hand: log(2 + e⁹)
    assert found.loss[11] == pytest.approx(np.log(2 + np.exp(9)), rel=1e-6)


def test_logits_that_are_not_finite():
    logits = np.array([[0.0, np.inf], [np.nan, 0.0], [0.0, -np.inf]])
    found = report.score(logits, np.array([0, 1, 1]))
    assert found.counts.tolist() == [[0, 1], [2, 0]]
    assert sorted(found.worst(3).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_logit_for_two_classes(shape):
    logits = np.array([2.0, -1.0, 0.5]).reshape(shape)
    found = report.score(logits, np.array([1.0, 1.0, 0.0]).reshape(shape))
    assert found.counts.tolist() == [[0, 1], [1, 1]]
    # log(1 + e^∓x), binary cross-entropy
    np.testing.assert_allclose(found.loss, np.log1p(np.exp([-2.0, 1.0, 0.5])))


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        (np.zeros(3), np.full(3, 2.0), r"logits \(3,\) and targets \(3,\) are not those"),
        (np.zeros((3, 1)), np.full(3, 2.0), "not those of a classifier"),
        (np.zeros((0, 2)), np.zeros(0), "not those of a classifier"),
        (np.zeros((3, 2)), np.zeros(3), "whole numbers from 0 to 1"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), "whole numbers from 0 to 1"),
        (np.zeros((3, 2)), np.array([0, 1, -1]), "whole numbers from 0 to 1"),
    ],
)
def test_no_classifier(logits, target, message):
    with pytest.raises(ValueError, match=message):
        report.score(logits, target)
