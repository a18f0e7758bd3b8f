"""The learning rate range test: what it tries, what it finds, and that it leaves no trace."""

import math

import numpy as np
import pytest
from runs import bits, classifier, fit, loader, outcome

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim
from tinygrad_lessons.train import LRFinding, get_rng_states, lr_find
from tinygrad_lessons.utils.data import DataLoader


def find(trainer, data, **arguments):
    return lr_find(trainer.model, trainer.loss, trainer.optimizer, data, **arguments)


RULES = {
    "sgd": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9),
    "adam": optim.Adam,
    "lbfgs": lambda p, lr: optim.LBFGS(p, lr=lr, max_iter=2),
    "sam": lambda p, lr: optim.SAM(optim.SGD(p, lr=lr)),
    "free": optim.SGDScheduleFree,
    "lookahead": lambda p, lr: optim.Lookahead(optim.Adam(p, lr=lr)),
}


@pytest.mark.parametrize("own_generator", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_find_then_train_is_train(rule, own_generator):
    def train(finds):
        trainer = classifier(optimizer=RULES[rule], lr=0.05)
        generator = tg.Generator().manual_seed(3) if own_generator else None
        data = loader(0, shuffle=True, generator=generator)
        trainer.fit(data, loader(1), 1)  # there is state to be kept
        if finds:
            before = bits([trainer.model.state_dict(), trainer.optimizer.state_dict()])
            streams = bits(get_rng_states())
            grads = [p.grad for p in trainer.model.parameters()]
            finding = find(trainer, data, steps=30)
            assert len(finding.lrs) > 5
            assert before == bits([trainer.model.state_dict(), trainer.optimizer.state_dict()])
            assert streams == bits(get_rng_states())
            assert all(p.grad is g for p, g in zip(trainer.model.parameters(), grads, strict=True))
        trainer.fit(data, loader(1), 2)
        return outcome(trainer)

    assert train(True) == train(False)


def test_find_in_the_middle_of_an_epoch_keeps_the_place():
    def orders(finds):
        tg.manual_seed(0)
        data = DataLoader(range(20), batch_size=5, shuffle=True)
        batches = iter(data)
        first = next(batches).tolist()
        if finds:
            model = nn.Linear(1, 1)
            pairs = [(tg.ones(2, 1), tg.ones(2, 1))]
            lr_find(model, nn.MSELoss(), optim.SGD(model.parameters()), pairs, steps=5)
        return first, [batch.tolist() for batch in batches]

    assert orders(True) == orders(False)


def test_the_losses_are_those_of_the_steps():
    """A parabola: w ← w (1 - 2 lr), so that all losses are known."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    data = [(tg.ones(2, 1), tg.zeros(2, 1))]
    sgd = optim.SGD(model.parameters(), lr=1.0)
    for spacing, space in (("exponential", np.geomspace), ("linear", np.linspace)):
        finding = lr_find(
            model, nn.MSELoss(), sgd, data, start=0.01, end=0.4, steps=8, spacing=spacing,
            smoothing=0.5,
        )  # fmt: skip
        lrs, w, losses = space(0.01, 0.4, 8), 3.0, []
        for lr in lrs:
            losses.append(w * w)
            w *= 1 - 2 * lr
        assert finding.lrs == pytest.approx(lrs) and finding.losses == pytest.approx(losses, 1e-5)
        weights = 0.5 ** np.arange(8, 0, -1)
        assert finding.smoothed[-1] == pytest.approx(
            np.dot(weights, losses) / weights.sum(), rel=1e-5
        )
        assert not finding.diverged and finding.spacing == spacing
    assert model.weight.item() == 3 and sgd.param_groups[0]["lr"] == 1


def test_it_ends_when_the_loss_diverges():
    trainer = classifier()
    finding = find(trainer, loader(0), end=1e6, steps=200)
    assert finding.diverged and 20 < len(finding.lrs) < 200
    assert all(math.isfinite(loss) for loss in finding.losses)
    whole = find(trainer, loader(0), end=1.0, steps=50, divergence=None)
    assert len(whole.lrs) == 50 and not whole.diverged


def test_groups_keep_their_ratios():
    model, seen = nn.Linear(2, 3), []

    class Spy(optim.SGD):
        def step(self, closure=None):
            seen.append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    groups = [{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 0.01}]
    lr_find(model, nn.CrossEntropyLoss(), Spy(groups), loader(0), start=1e-3, end=1e-1, steps=3)
    assert seen == [pytest.approx(pair) for pair in ([1e-3, 1e-4], [1e-2, 1e-3], [1e-1, 1e-2])]


def valley():
    lrs = np.geomspace(1e-4, 1, 41)
    x = np.log10(lrs)
    # flat, falls fastest at 1e-2.5, lowest at 0.1, then up
    losses = 2 - np.tanh(2 * (x + 2.5)) + 3 * np.clip(x + 1, 0, None) ** 2
    return LRFinding(lrs.tolist(), losses.tolist(), losses.tolist(), True, "exponential")


def test_suggestions():
    found = valley().suggestions
    assert found["steepest"] == pytest.approx(10**-2.5, rel=0.1)
    assert found["minimum/10"] == pytest.approx(0.01, rel=0.3)
    assert found["steepest"] < found["valley"] < 0.1


def test_suggestions_of_too_few_steps():
    found = LRFinding([1e-3, 1e-2], [1.0, 2.0], [1.0, 2.0], True, "linear").suggestions
    assert all(math.isnan(lr) for lr in found.values()) and len(found) == 3


def test_what_it_suggests_trains():
    trainer = classifier()
    lr = find(trainer, loader(0, shuffle=True)).suggestions["valley"]
    trainer.optimizer.param_groups[0]["lr"] = lr
    history = fit(trainer, 10)
    assert history[-1]["val_loss"] < history[0]["val_loss"] / 1.5


def test_plot(tmp_path):
    figure = valley().plot()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "learning rate"
    names = [text.get_text().split(":")[0] for text in axes.get_legend().get_texts()]
    assert names == ["loss of a step", "smoothed", "steepest", "minimum/10", "valley"]
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments",
    [{"start": 0}, {"end": 1e-8}, {"end": math.inf}, {"steps": 1}, {"spacing": "log"},
     {"smoothing": 1}, {"divergence": 1}],
    ids=str,
)  # fmt: skip
def test_misuse(arguments):
    with pytest.raises(ValueError, match=f"lr_find: got .*{next(iter(arguments))}"):
        find(classifier(), loader(), **arguments)


def test_no_batches():
    with pytest.raises(ValueError, match="lr_find: the loader gave no batch"):
        find(classifier(), [])


def test_loss_and_transform_are_copied():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", tg.zeros(()))

        def forward(self, x, y):
            self.calls.add_(1)
            return x, y

    class Loss(Counting):
        def forward(self, output, target):
            return nn.functional.mse_loss(*super().forward(output, target))

    model, loss, transform = nn.Linear(1, 1), Loss(), Counting()
    pairs, sgd = [(tg.ones(2, 1), tg.ones(2, 1))], optim.SGD(model.parameters())

    lr_find(model, loss, sgd, pairs, steps=5, batch_transform=transform)
    assert loss.calls == transform.calls == 0
