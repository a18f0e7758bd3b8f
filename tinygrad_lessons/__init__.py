"""tinygrad_lessons: small neural nets on a CPU, with PyTorch's names on a small, fast engine of its own.

>>> import tinygrad_lessons as tg
>>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from tinygrad_lessons import _core
from tinygrad_lessons._core import (
    Generator,
    Size,
    Tensor,
    allclose,
    arange,
    as_tensor,
    asarray,
    bernoulli,
    broadcast_shapes,
    broadcast_tensors,
    cat,
    concat,
    concatenate,
    default_generator,
    device,
    dtype,
    empty,
    empty_cache,
    enable_grad,
    equal,
    eye,
    float32,
    float64,
    from_numpy,
    full,
    full_like,
    get_default_dtype,
    get_num_threads,
    get_rng_state,
    initial_seed,
    int32,
    int64,
    is_grad_enabled,
    is_tensor,
    isclose,
    linspace,
    manual_seed,
    memory_stats,
    meshgrid,
    multinomial,
    no_grad,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    reset_peak_memory_stats,
    result_type,
    seed,
    set_default_dtype,
    set_grad_enabled,
    set_num_threads,
    set_rng_state,
    show_config,
    stack,
    tensor,
    uint8,
    where,
    zeros,
    zeros_like,
)
from tinygrad_lessons._core import bool_ as bool
from tinygrad_lessons._core import empty_like_ as empty_like
from tinygrad_lessons._tensor_str import set_printoptions
from tinygrad_lessons.serialization import load, save

float = float32
double = float64
long = int64
int = int32
inf = _core.inf
nan = _core.nan
pi = _core.pi
e = _core.e

# A method is also the function of its name: exp(x) is x.exp(), sum(x, 0) is x.sum(0).
for _name in _core.FUNCTIONS:
    globals()[_name] = getattr(Tensor, _name)
del _name

from tinygrad_lessons import autograd, cuda, nn, optim, utils  # noqa: E402

__version__ = "0.1.0"
__all__ = [name for name in globals() if name[0] != "_" and name != "serialization"]
