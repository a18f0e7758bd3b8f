"""Metrics against their formulas in NumPy, and pairs counted one by one."""

import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats

import tinygrad_lessons as tg
from tinygrad_lessons import train

CLASSIFIERS = {
    "accuracy": (train.accuracy, train.Accuracy),
    "top2": (
        lambda output, target: train.top_k_accuracy(output, target, 2),
        lambda: train.TopKAccuracy(2),
    ),
    "confusion": (train.confusion_matrix, train.ConfusionMatrix),
    "f1": (train.f1_score, train.F1),
    "auc": (train.auc, train.AUC),
}
REGRESSIONS = {
    "mae": (train.mean_absolute_error, train.MAE),
    "mse": (train.mean_squared_error, train.MSE),
    "rmse": (train.root_mean_squared_error, train.RMSE),
    "r2": (train.r2_score, train.R2),
}


def sample(n=200, classes=4, seed=0):
    generator = tg.Generator().manual_seed(seed)
    logits = tg.randn(n, classes, generator=generator)
    logits = (logits * 4).round() / 4  # with ties
    return logits, tg.randint(classes, (n,), generator=generator)


def in_batches(metric, output, target):
    for begin in range(0, len(output), 48):
        metric.update(output[begin : begin + 48], target[begin : begin + 48])
    return metric.compute()


def plain(figure):
    return figure.tolist() if isinstance(figure, tg.Tensor) else figure


@pytest.mark.parametrize("name", CLASSIFIERS | REGRESSIONS)
def test_batches_give_what_the_whole_gives(name):
    function, metric = (CLASSIFIERS | REGRESSIONS)[name]
    output, target = sample()
    if name in REGRESSIONS:
        target = output + tg.randn(200, 4, generator=tg.Generator().manual_seed(1))
    whole = plain(function(output, target))
    streaming = metric()
    for _ in range(2):
        np.testing.assert_allclose(plain(in_batches(streaming, output, target)), whole, rtol=1e-12)
        streaming.reset()
    half, resumed = metric(), metric()
    half.update(output[:100], target[:100])
    resumed.load_state_dict(half.state_dict())
    resumed.update(output[100:], target[100:])
    np.testing.assert_allclose(plain(resumed.compute()), whole, rtol=1e-12)


def test_classification_against_counting():
    logits, target = sample()
    chosen = logits.numpy().argmax(1).tolist()
    wanted = target.tolist()
    pairs = Counter(zip(wanted, chosen, strict=True))
    counts = train.confusion_matrix(logits, target)
    assert counts.dtype == tg.int64
    assert counts.tolist() == [[pairs[t, p] for p in range(4)] for t in range(4)]
    assert train.accuracy(logits, target) == sum(pairs[t, t] for t in range(4)) / 200

    scores, weights = [], []
    for c in range(4):
        hit = pairs[c, c]
        precision = hit / sum(pairs[t, c] for t in range(4))
        recall = hit / sum(pairs[c, p] for p in range(4))
        scores.append(2 * precision * recall / (precision + recall))
        weights.append(wanted.count(c) / 200)
    assert train.f1_score(logits, target, None).tolist() == pytest.approx(scores)
    assert train.f1_score(logits, target) == pytest.approx(sum(scores) / 4)
    assert train.f1_score(logits, target, "weighted") == pytest.approx(np.dot(scores, weights))
    assert train.f1_score(logits, target, "micro") == pytest.approx(train.accuracy(logits, target))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k_against_sorting(k):
    generator = tg.Generator().manual_seed(0)
    logits, target = tg.randn(100, 4, generator=generator), sample(100)[1]
    best = np.argsort(-logits.numpy(), 1)[:, :k]
    expected = np.mean([t in row for t, row in zip(target.tolist(), best.tolist(), strict=True)])
    assert train.top_k_accuracy(logits, target, k) == expected


def test_binary_auc_against_the_test_of_mann_and_whitney():
    logits, target = sample(classes=2)
    score = (logits[:, 1] - logits[:, 0]).numpy()
    positive = target.numpy() == 1
    u = scipy.stats.mannwhitneyu(score[positive], score[~positive]).statistic
    expected = u / (positive.sum() * (~positive).sum())
    assert train.auc(logits, target) == pytest.approx(expected, rel=1e-12)
    single = logits[:, 1] - logits[:, 0]
    assert train.auc(single, target) == train.auc(single.unsqueeze(1), target.float())
    assert train.auc(single, target) == pytest.approx(expected, rel=1e-12)


def test_auc_of_many_classes_against_all_pairs():
    logits, target = sample(60)
    probabilities = logits.double().softmax(1).numpy()
    wanted, areas = target.numpy(), []
    for c in range(4):
        inside, outside = probabilities[wanted == c, c], probabilities[wanted != c, c]
        difference = inside[:, None] - outside
        areas.append(((difference > 0) + 0.5 * (difference == 0)).mean())
    assert train.auc(logits, target) == pytest.approx(np.mean(areas), rel=1e-12)


def test_auc_without_both_kinds_is_nan():
    assert math.isnan(train.auc(tg.tensor([1.0, 2.0]), tg.tensor([1, 1])))
    assert math.isnan(train.auc(tg.tensor([1.0, math.nan]), tg.tensor([0, 1])))
    assert train.auc(tg.tensor([[1.0, 0, 0], [0, 1, 0]]), tg.tensor([0, 1])) == 1


def test_soft_targets():
    logits = tg.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    soft = tg.tensor([[0.75, 0.25, 0.0], [0.5, 0.0, 0.5]])
    assert train.accuracy(logits, soft) == (0.75 + 0.5) / 2
    assert train.accuracy(logits, tg.eye(3)[:2]) == train.accuracy(logits, tg.tensor([0, 1])) == 0.5
    # the other figures take the likeliest class
    assert train.confusion_matrix(logits, soft).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert train.top_k_accuracy(logits, soft, 1) == 0.5


def test_one_logit_per_sample():
    logits, target = tg.tensor([1.0, -1.0, 2.0, -3.0]), tg.tensor([1.0, 0.0, 0.0, 1.0])
    for shape in ((4,), (4, 1)):
        output, wanted = logits.reshape(shape), target.reshape(shape)
        assert train.accuracy(output, wanted) == 0.5
        assert train.confusion_matrix(output, wanted).tolist() == [[1, 1], [1, 1]]
        assert train.f1_score(output, wanted, "binary") == 0.5


def test_f1_of_a_class_that_never_occurs_is_zero():
    logits, target = tg.eye(3)[tg.tensor([0, 1, 0])], tg.tensor([0, 1, 1])
    assert train.f1_score(logits, target, None).tolist() == pytest.approx([2 / 3, 2 / 3, 0])


def test_regression_against_numpy():
    generator = tg.Generator().manual_seed(0)
    target = tg.randn(50, 3, generator=generator) * 3 + 1e4
    output = target + tg.randn(50, 3, generator=generator)
    y, f = target.numpy().astype(float), output.numpy().astype(float)
    assert train.mean_absolute_error(output, target) == pytest.approx(abs(f - y).mean())
    assert train.mean_squared_error(output, target) == pytest.approx(((f - y) ** 2).mean())
    assert train.root_mean_squared_error(output, target) == pytest.approx(
        math.sqrt(((f - y) ** 2).mean())
    )
    r2 = 1 - ((f - y) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)
    assert train.r2_score(output, target) == pytest.approx(r2.mean(), rel=1e-9)
    assert in_batches(train.R2(), output, target) == pytest.approx(r2.mean(), rel=1e-9)


def test_r2_of_a_constant():
    assert train.r2_score(tg.ones(3), tg.ones(3)) == 1
    assert train.r2_score(tg.zeros(3), tg.ones(3)) == 0
    assert math.isnan(train.r2_score(tg.ones(1), tg.ones(1)))


def test_columns_and_rows_do_not_broadcast():
    assert train.mean_squared_error(tg.ones(3, 1), tg.tensor([1.0, 1.0, 2.0])) == pytest.approx(
        1 / 3
    )
    with pytest.raises(ValueError, match="MSE: outputs of shape .* do not fit"):
        train.mean_squared_error(tg.ones(3), tg.ones(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train.f1_score(*sample(), "marco"), "got average 'marco'"),
        (lambda: train.F1("marco"), "got average 'marco'"),
        (lambda: train.f1_score(*sample(), "binary"), "binary.* of 4 classes"),
        (lambda: train.top_k_accuracy(*sample(), 5), "got k=5 and outputs of shape"),
        (lambda: train.confusion_matrix(tg.ones(2, 3), tg.tensor([0, 3])), "a class from 0 to 2"),
        (lambda: train.confusion_matrix(tg.ones(2, 3), tg.tensor([0])), "a class from 0 to 2"),
        (lambda: train.accuracy(tg.ones(2, 3), tg.tensor([0])), "accuracy: .* do not fit"),
        (lambda: train.auc(tg.ones(2, 3, 4), tg.tensor([0, 1])), "auc: got outputs of shape"),
        (lambda: train.ConfusionMatrix().compute(), "before any batch"),
    ],
)
def test_misuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_empty_metrics_are_nan():
    for metric in (train.Accuracy(), train.MSE(), train.RMSE(), train.R2()):
        assert math.isnan(metric.compute())


def test_ties_go_to_the_first_class_as_in_argmax():
    logits = tg.zeros(4, 10)
    assert train.top_k_accuracy(logits, tg.tensor([1, 2, 3, 4]), 1) == 0
    assert train.top_k_accuracy(logits, tg.tensor([0, 2, 3, 4]), 3) == 0.5
    logits, target = sample()
    assert train.top_k_accuracy(logits, target, 1) == train.accuracy(logits, target)


def test_confusion_matrix_refuses_a_chosen_class_beyond_its_classes():
    with pytest.raises(ValueError, match="chose classes up to 2: expected .* 0 to 1"):
        train.confusion_matrix(tg.tensor([[0.0, 0.0, 1.0]]), tg.tensor([0]), classes=2)


@pytest.mark.parametrize("shapes", [((2, 3), (3, 2)), ((1, 3), (3, 1)), ((6,), (2, 3))])
def test_regression_refuses_shapes_that_do_not_fit(shapes):
    output, target = (tg.zeros(shape) for shape in shapes)
    for function, _ in REGRESSIONS.values():
        with pytest.raises(ValueError, match="do not fit"):
            function(output, target)


def test_auc_of_saturated_logits_keeps_their_order():
    """Class 0 is scored 40, 50 and 60: all of them 1 by a softmax in float64."""
    logits = tg.zeros(4, 3)
    logits[:, 0] = tg.tensor([40.0, 50.0, 60.0, 45.0])
    # pairs of class 0 (samples 1, 2) against the others (0, 3): all four in order;
    # class 1 (sample 0) and 2 (sample 3) are scored -40, -50, -60, -45 against the rest
    area = np.mean([1, 1, 2 / 3])
    assert train.auc(logits, tg.tensor([1, 0, 0, 2])) == pytest.approx(area, rel=1e-12)


@pytest.mark.parametrize("target", [[0, 3], [0, -1], [0], [0, 1, 2]])
def test_auc_refuses_targets_that_do_not_fit(target):
    for logits in (tg.ones(2, 3), tg.ones(2, 2), tg.ones(2)):
        if logits.dim() == 1 or target != [0, 3]:
            with pytest.raises(ValueError, match="auc: .* expected a class from 0 to"):
                train.auc(logits, tg.tensor(target))


def test_f1_macro_is_of_the_classes_that_occur():
    """As scikit-learn has it: class 3 is neither a target nor chosen, class 2 is chosen once."""
    logits, target = tg.eye(4)[tg.tensor([0, 1, 2])], tg.tensor([0, 1, 1])
    assert train.f1_score(logits, target) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert train.f1_score(logits, target, None).tolist() == pytest.approx([1, 2 / 3, 0, 0])


@pytest.mark.parametrize("name", CLASSIFIERS | REGRESSIONS)
def test_nothing_gives_nan(name):
    function, metric = (CLASSIFIERS | REGRESSIONS)[name]
    target = tg.zeros(0, 3) if name in REGRESSIONS else tg.zeros(0, dtype=tg.int64)
    figure, streaming = function(tg.zeros(0, 3), target), metric()
    streaming.update(tg.zeros(0, 3), target)
    if name == "confusion":
        assert figure.tolist() == streaming.compute().tolist() == [[0] * 3] * 3
    else:
        assert math.isnan(figure) and math.isnan(streaming.compute())
        assert math.isnan(metric().compute())


def test_f1_of_nothing_for_every_average():
    nothing = tg.zeros(0, 2), tg.zeros(0, dtype=tg.int64)
    for average in ("macro", "micro", "weighted", "binary"):
        assert math.isnan(train.f1_score(*nothing, average))


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("accuracy", "got 'accuracy': expected a list of names, as ..accuracy.., or a dict"),
        ([train.Accuracy()], "got Accuracy in a list, .* in a dict, as .'accuracy': "),
        ([train.accuracy], "got function in a list, .* give it one in a dict"),
    ],
)
def test_metrics_that_have_no_name(metrics, message):
    with pytest.raises(TypeError, match=message):
        train.metrics.named_metrics(metrics)
