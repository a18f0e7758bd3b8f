"""Training: the `Trainer`, its callbacks, metrics, checkpoints, and the folder a run leaves behind.

All that the trainer uses can be used without it, in a loop of one's own:

>>> import tempfile
>>> import tinygrad_lessons as tg
>>> from tinygrad_lessons import nn, optim, train
>>> from tinygrad_lessons.datasets import Digits
>>> from tinygrad_lessons.utils.data import DataLoader
>>> _ = tg.manual_seed(0)
>>> loader = DataLoader(Digits("train"), batch_size=32, shuffle=True)
>>> val = DataLoader(Digits("val"), batch_size=256)
>>> model, loss_fn = train.mlp(64, 10, hidden=(16,)), nn.CrossEntropyLoss()
>>> optimizer = optim.Adam(model.parameters())
>>> stopper = train.EarlyStopping("loss", patience=2)
>>> checkpoints = train.Checkpoints(tempfile.mkdtemp())
>>> for epoch in range(1, 4):
...     _ = model.train()
...     for x, y in loader:
...         optimizer.zero_grad()
...         loss_fn(model(x), y).backward()
...         optimizer.step()
...     figures = train.evaluate(model, loss_fn, val, ["accuracy"])
...     state = {"model": dict(model.state_dict()), "optimizer": optimizer.state_dict()}
...     state |= {"rng": train.get_rng_states(), "stopper": stopper.state_dict()}
...     path = checkpoints.save(state, epoch)
...     if stopper.step(figures, model):
...         break
>>> stopper.restore(model)
>>> stopper.best_epoch, checkpoints.load()["optimizer"]["param_groups"][0]["lr"]
(3, 0.001)
"""

from tinygrad_lessons.train.callbacks import (
    EMA,
    SWA,
    Callback,
    CSVLogger,
    EarlyStopping,
    GradientAccumulation,
    GradientClipping,
    GradientStats,
    JSONLLogger,
    LRMonitor,
    ModelCheckpoint,
    Progress,
    StepBudget,
    TensorBoardLogger,
    TimeBudget,
)
from tinygrad_lessons.train.checkpoints import (
    CheckpointError,
    Checkpoints,
    CheckpointWarning,
    load_checkpoint,
    save_checkpoint,
)
from tinygrad_lessons.train.diagnosis import non_finite_gradient, non_finite_value
from tinygrad_lessons.train.evaluation import evaluate, predict
from tinygrad_lessons.train.lr_finder import LRFinding, lr_find
from tinygrad_lessons.train.metrics import (
    AUC,
    F1,
    MAE,
    MSE,
    R2,
    RMSE,
    Accuracy,
    Collected,
    ConfusionMatrix,
    Metric,
    TopKAccuracy,
    accuracy,
    auc,
    confusion_matrix,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
    top_k_accuracy,
)
from tinygrad_lessons.train.models import mlp
from tinygrad_lessons.train.modes import set_mode, wants_closure
from tinygrad_lessons.train.rng import get_rng_states, set_rng_states
from tinygrad_lessons.train.run_folder import RunFolder
from tinygrad_lessons.train.trainer import Trainer

__all__ = [
    "AUC",
    "Accuracy",
    "CSVLogger",
    "Callback",
    "CheckpointError",
    "CheckpointWarning",
    "Checkpoints",
    "Collected",
    "ConfusionMatrix",
    "EMA",
    "EarlyStopping",
    "F1",
    "GradientAccumulation",
    "GradientClipping",
    "GradientStats",
    "JSONLLogger",
    "LRFinding",
    "LRMonitor",
    "MAE",
    "MSE",
    "Metric",
    "ModelCheckpoint",
    "Progress",
    "R2",
    "RMSE",
    "RunFolder",
    "SWA",
    "StepBudget",
    "TensorBoardLogger",
    "TimeBudget",
    "TopKAccuracy",
    "Trainer",
    "accuracy",
    "auc",
    "confusion_matrix",
    "evaluate",
    "f1_score",
    "get_rng_states",
    "load_checkpoint",
    "lr_find",
    "mean_absolute_error",
    "mean_squared_error",
    "mlp",
    "non_finite_gradient",
    "non_finite_value",
    "predict",
    "r2_score",
    "root_mean_squared_error",
    "save_checkpoint",
    "set_mode",
    "set_rng_states",
    "top_k_accuracy",
    "wants_closure",
]
