"""Ctrl-C and SIGTERM: the first asks training to end, the second ends it."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def interrupts(stop):
    """A block in which the first SIGINT or SIGTERM calls `stop` with its name, and no more than that.

    After it, signals do again what they did before the block. Python handles signals in the main
    thread only; in others this does nothing.
    """
    before = {}

    def restore():
        while before:
            signal.signal(*before.popitem())

    def handle(number, frame):
        restore()
        stop(signal.Signals(number).name)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            found = signal.getsignal(number)
            if found not in (signal.SIG_IGN, None):  # ignored, or not Python's to restore
                before[number] = found
                signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
