"""Training: the `Trainer`, its callbacks, metrics, checkpoints, and the folder a run leaves behind.

All that the trainer uses can be used without it, in a loop of one's own. This one goes on, if it was
killed, where the newest checkpoint was taken:

>>> import tempfile
>>> import tinygrad_lessons as tg
>>> from tinygrad_lessons import nn, optim, train
>>> from tinygrad_lessons.datasets import Digits
>>> from tinygrad_lessons.utils.data import DataLoader
>>> folder = tempfile.mkdtemp()
>>> def run(epochs):
...     tg.manual_seed(0)
...     loader = DataLoader(Digits("train"), batch_size=32, shuffle=True)
...     val = DataLoader(Digits("val"), batch_size=256)
...     model, loss_fn = train.mlp(64, 10, hidden=(16,)), nn.CrossEntropyLoss()
...     optimizer = optim.Adam(model.parameters())
...     optimizer.param_groups[0]["lr"] = train.lr_find(
...         model, loss_fn, optimizer, loader
...     ).suggestions["valley"]
...     stopper, checkpoints = train.EarlyStopping("loss"), train.Checkpoints(folder)
...     parts = {"model": model, "optimizer": optimizer, "loader": loader, "stopper": stopper}
...     begin = 0
...     if checkpoints.steps():
...         state = checkpoints.load()
...         begin = state["epoch"]
...         for name, part in parts.items():
...             part.load_state_dict(state[name])
...         train.set_rng_states(state["rng"])
...     for epoch in range(begin + 1, epochs + 1):
...         model.train()
...         for x, y in loader:
...             optimizer.zero_grad()
...             loss_fn(model(x), y).backward()
...             optimizer.step()
...         stop = stopper.step(train.evaluate(model, loss_fn, val, ["accuracy"]), model)
...         state = {name: part.state_dict() for name, part in parts.items()}
...         checkpoints.save(state | {"epoch": epoch, "rng": train.get_rng_states()}, epoch)
...         if stop:
...             break
...     stopper.restore(model)
...     return begin, train.accuracy(*train.predict(model, val)) > 0.8
>>> run(3), run(6)
((0, True), (3, True))
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
from tinygrad_lessons.train.models import cnn, mlp
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
    "cnn",
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
