"""Objectives that processes can import."""

import os
import signal
import time
from pathlib import Path


def parabola(trial):
    """(x - 2)² + (0 for "a", 1 for "b")."""
    x = trial.suggest_float("x", -10, 10)
    trial.set_user_attr("process", os.getpid())
    return (x - 2) ** 2 + (trial.suggest_categorical("kind", ["a", "b"]) == "b")


def slow_parabola(trial):
    """Slow enough for two processes to share."""
    time.sleep(0.2)
    return parabola(trial)


class KilledOnce:
    """A parabola whose third trial kills its own process, once."""

    def __init__(self, folder):
        self.mark = Path(folder) / "killed"

    def __call__(self, trial):
        value = slow_parabola(trial)
        if trial.number == 2 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return value


class AlwaysKilled:
    """No trial ends."""

    def __call__(self, trial):
        os.kill(os.getpid(), signal.SIGKILL)
