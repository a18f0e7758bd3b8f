"""The report of a run as the trainer and its callbacks leave it."""

import folders

import tinygrad_lessons as tg
from tinygrad_lessons import nn, optim, report
from tinygrad_lessons.datasets import Digits
from tinygrad_lessons.train import GradientStats, JSONLLogger, LRMonitor, RunFolder, Trainer, mlp
from tinygrad_lessons.utils.data import DataLoader


def test_every_file_of_a_trained_run_is_understood(tmp_path, open_page):
    tg.manual_seed(0)
    train, val, test = (
        DataLoader(Digits(part), batch_size=64) for part in ("train", "val", "test")
    )
    model, folder = mlp(64, 10, hidden=(16,)), RunFolder(tmp_path / "run")
    folder.save_config({"data": {"name": "digits"}, "optimizer": {"name": "Adam", "lr": 0.01}})
    adam = optim.Adam(model.parameters(), lr=0.01)
    loggers = [
        JSONLLogger(folder.metrics),
        LRMonitor(folder.steps),
        GradientStats(folder.gradients),
    ]
    trainer = Trainer(model, nn.CrossEntropyLoss(), adam, callbacks=loggers, metrics=["accuracy"])
    trainer.fit(train, val, epochs=3)
    logits, target = trainer.predict(test)
    folder.save_predictions("test", logits, target)
    tested = trainer.evaluate(test)
    folder.save_result({f"test_{name}": value for name, value in tested.items()})

    run = report.read(folder.path)
    assert run.notes == []
    assert run.status == "finished"
    assert len(run.history) == len(run.gradients) == 3
    assert len(run.steps) == 3 * len(train)
    scores = report.score(run.predictions.logits, run.predictions.target)
    assert scores.accuracy == tested["accuracy"]
    opened = open_page(report.write(folder.path, test.dataset.images, test.dataset.classes))
    texts = "(s) => [...document.querySelectorAll(s)].map((e) => e.textContent)"
    assert opened.run(f"({texts})('h2')") == folders.SECTIONS
    assert opened.run(f"({texts})('.note')") == []
    captions = opened.run(f"({texts})('figcaption')")
    for name, _ in model.named_parameters():
        assert {f"{name}: weights", f"{name}: gradients"} <= set(captions)
    for title in ("gradient norms", "update-to-weight ratios", "dead units", "momentum"):
        assert any(caption.startswith(title) for caption in captions)
