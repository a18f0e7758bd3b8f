"""Where in its data an epoch is, and how to come there again."""

from itertools import islice

from .rng import get_rng_states, kept_rng_states, set_rng_states


def knows_its_place(loader) -> bool:
    """Whether a loader can say where it is, and be put there."""
    return hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")


def state_of_loader(loader, batches=None):
    """Where a loader is, or an iterator of it if one is given; None if it cannot say that.

    Iterators that others have begun, and left, say nothing of where the next one begins.
    """
    if not knows_its_place(loader):
        return None
    if hasattr(batches, "state_dict"):
        return batches.state_dict()
    return getattr(loader, "next_state", loader.state_dict)()


def load_state_of_loader(loader, state):
    """Put a loader where it was, if it can be."""
    if state is not None and knows_its_place(loader):
        loader.load_state_dict(state)


class Position:
    """How far an epoch has come in a loader, as state that can be saved.

    A loader with `state_dict` and `load_state_dict`, such as `DataLoader`, or its iterator says
    itself where it is. Any other iterable is iterated from the start again, and the batches that
    were used are dropped. Either is done with the random streams as they were at the epoch's start,
    from which orders may have been drawn.
    """

    def __init__(self, loader, state=None):
        self.loader = loader
        self.batches = 0 if state is None else state["batches"]
        self._saved = state  # where to go on, until that is done
        self._streams = None
        self._iterator = None

    def begin(self):
        """The batches of a new epoch."""
        if self._saved is not None:
            load_state_of_loader(self.loader, self._saved["loader"])
        self._saved, self.batches = None, 0
        self._streams = get_rng_states()
        self._iterator = iter(self.loader)
        return self._iterator

    def resume(self):
        """The batches that are still to come of the saved epoch; random streams stay where they are.

        Raises:
            ValueError: the loader is of another kind, or gives fewer batches than were used.
        """
        state, self._saved = self._saved, None
        self._streams = state["streams"]
        told = state["loader"] is not None
        if told != knows_its_place(self.loader):
            kinds = (
                "one that does not say where it is, as a list",
                "one that does, as a DataLoader",
            )
            raise ValueError(
                f"fit: the checkpoint was taken in the middle of an epoch of a loader, {kinds[told]}, "
                f"but got a {type(self.loader).__name__}: resume with the same data"
            )
        with kept_rng_states():
            set_rng_states(self._streams)
            if told:
                self.loader.load_state_dict(state["loader"])
            self._iterator = iter(self.loader)
            used = 0 if told else self.batches
            dropped = sum(1 for _ in islice(self._iterator, used))
        if dropped < used:
            raise ValueError(
                f"fit: the checkpoint was taken after {self.batches} batches of its epoch, but the "
                f"loader gives {dropped}: resume with the same data and batch size"
            )
        return self._iterator

    def at_end(self) -> bool:
        """Whether all batches were used, where the loader has a length.

        That of a stream may be too small: what is loaded to see whether anything comes is not used,
        and the epoch stays where it was.
        """
        try:
            if self.batches < len(self.loader):
                return False
        except TypeError:
            return False
        here, streams = self.state_dict(), get_rng_states()
        for _ in self._iterator:
            self._saved = here
            set_rng_states(streams)
            return False
        return True

    def state_dict(self) -> dict:
        """Where the epoch is."""
        if self._saved is not None:
            return self._saved
        return {
            "batches": self.batches,
            "loader": state_of_loader(self.loader, self._iterator),
            "streams": self._streams,
        }
