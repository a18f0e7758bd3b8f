"""The compiled engine. Its names are offered by the package; see core.pyx and the .pxi files beside it."""

from tinygrad_lessons._core.core import *  # noqa: F403
from tinygrad_lessons._core.core import OP_NAMES  # noqa: F401
