"""Where in its data an epoch is, and how to come there again."""

from itertools import islice

from .rng import get_rng_states, kept_rng_states, set_rng_states


def knows_its_place(loader) -> bool:
    """Whether a loader can say where it is, and be put there."""
    return hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")


def state_of_loader(loader):
    """Where a loader says that it is; None if it cannot."""
    return loader.state_dict() if knows_its_place(loader) else None


def load_state_of_loader(loader, state):
    """Put a loader where it was, if it can be."""
    if state is not None and knows_its_place(loader):
        loader.load_state_dict(state)


class Position:
    """How far an epoch has come in a loader, as state that can be saved.

    A loader with `state_dict` and `load_state_dict`, such as `DataLoader`, says itself where it is.
    Of any other iterable, the random streams at the epoch's start and the number of batches are
    kept; to come there again, it is iterated from the start and those batches dropped.
    """

    def __init__(self, loader, state=None):
        self.loader = loader
        self.batches = 0 if state is None else state["batches"]
        self._saved = state  # where to go on, until that is done
        self._streams = None
        self._knows = knows_its_place(loader)

    def begin(self):
        """The batches of a new epoch."""
        if self._saved is not None:
            load_state_of_loader(self.loader, self._saved["loader"])
        self._saved, self.batches = None, 0
        self._streams = None if self._knows else get_rng_states()
        return iter(self.loader)

    def resume(self):
        """The batches that are still to come of the saved epoch; random streams stay where they are."""
        state, self._saved = self._saved, None
        self._streams = state["streams"]
        with kept_rng_states():
            if self._knows:
                self.loader.load_state_dict(state["loader"])
                return iter(self.loader)
            set_rng_states(self._streams)
            batches = iter(self.loader)
            dropped = sum(1 for _ in islice(batches, self.batches))
        if dropped < self.batches:
            raise ValueError(
                f"fit: the checkpoint was taken after {self.batches} batches of its epoch, but the "
                f"loader gives {dropped}: resume with the same data and batch size"
            )
        return batches

    def at_end(self) -> bool:
        """Whether all batches were used, as far as the loader knows how many there are."""
        try:
            return self.batches >= len(self.loader)
        except TypeError:
            return False

    def state_dict(self) -> dict:
        """Where the epoch is."""
        if self._saved is not None:
            return self._saved
        return {
            "batches": self.batches,
            "loader": state_of_loader(self.loader),
            "streams": self._streams,
        }
