"""Whose turn it is: several processes go through the same benches side by side, and one at a time runs."""

import os


class Baton:
    """The runner's end: waits for its turn, saying which place in the list of benches it has come to."""

    def __init__(self, receive, send):
        self.receive, self.send = receive, send

    def wait(self, place):
        os.write(self.send, b"%d\n" % place)
        if not os.read(self.receive, 1):
            raise SystemExit("the process that gives the turns is gone")


class Runner:
    """The other end: one runner, which has said where it is and waits, or has come to the end."""

    def __init__(self, start):
        """start: a function of the two file descriptors for the Baton, which starts the process."""
        receive, self._send = os.pipe()
        sender, send = os.pipe()
        self.process = start(receive, send)
        os.close(receive)
        os.close(send)
        self._places = os.fdopen(sender)
        self.place = None

    def wait(self):
        """Until it stands at the next place; None: at the end."""
        line = self._places.readline()
        self.place = int(line) if line else None

    def go(self):
        os.write(self._send, b".")
        self.wait()

    def close(self):
        self._places.close()
        os.close(self._send)


def take_turns(runners, passed=lambda place: None):
    """Runs all to their ends, one at a time; those who stand at the same place by turns.

    passed: called with each place that a turn is given at.
    """
    for runner in runners:
        runner.wait()
    while waiting := [runner for runner in runners if runner.place is not None]:
        place = min(runner.place for runner in waiting)
        passed(place)
        for runner in waiting:
            if runner.place == place:
                runner.go()
    for runner in runners:
        runner.close()
