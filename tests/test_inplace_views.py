"""Views and in-place writes: the same programs under PyTorch give the same values and gradients."""

import inspect

import numpy as np
import pytest
from checks import numpy_of
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lessons as tg

START = np.arange(1.0, 13.0).reshape(3, 4) / 8


def start(lib):
    x = lib.tensor(START, requires_grad=True)
    y = lib.tensor(START[::-1].copy() + 2, requires_grad=True)
    return x, y


# Each gets leaves x and y, writes to tensors made from them, and returns what to sum up.
def write_to_a_view(lib, x, y):
    b = x * 1
    b[0].mul_(3)
    return [b]


def write_to_the_base(lib, x, y):
    b = x * 1
    v = b[1]
    b.mul_(2)
    return [v, b]


def write_to_a_view_then_read_another(lib, x, y):
    b = x * 1
    v, w = b[:, 1:], b.t()
    v.mul_(y[:, 1:])
    return [w.exp(), v]


def write_through_a_chain_of_views(lib, x, y):
    b = x * 1
    v = b.view(2, 6)[1].view(3, 2).t()[0]
    v.add_(y[0, :3])
    return [b * b]


def copy_into_a_slice(lib, x, y):
    b = lib.zeros(4, 4, dtype=lib.float64)
    b[:3] = x
    b[1:, 2] = y[:, 0]
    return [b * b]


def overwrite_cuts_the_gradient(lib, x, y):
    b = x * 2
    b[1] = 0.0
    b[:, 0] = y[:, 0]
    return [b.exp()]


def fill_and_zero(lib, x, y):
    b = x * y
    b[0].zero_()
    b[1].fill_(3)
    return [b]


def write_twice_to_the_same_view(lib, x, y):
    b = x * 1
    v = b[0]
    v.mul_(2)
    v.add_(y[1])
    return [b.sin(), v.cos()]


def two_views_write_in_turn(lib, x, y):
    b = x * 1
    v, w = b[0], b[:, 0]
    v.mul_(2)
    w.mul_(3)
    v.add_(y[0])
    return [v, w, b]


def old_results_keep_their_value(lib, x, y):
    b = x * 1
    r = b + y
    b.mul_(5)
    return [r * r, b]


def a_view_becomes_part_of_the_graph(lib, x, y):
    b = lib.ones(3, 4, dtype=lib.float64)
    v = b[1]
    v.mul_(x[0])
    return [b * y, v]


def the_base_becomes_part_of_the_graph(lib, x, y):
    b = lib.ones(3, 4, dtype=lib.float64)
    v = b[1]
    b.mul_(x)
    return [v * y[0]]


def in_place_on_a_non_view(lib, x, y):
    b = x * y
    b.mul_(2).add_(x).sub_(1).div_(y)
    return [b]


def in_place_unary(lib, x, y):
    # Those that save their result or input stand alone on their memory.
    b, c, d, e = (x * 1 for _ in range(4))
    b.exp_()
    c[0].sqrt_()
    d[:, 1].sigmoid_()
    e.neg_().t()[2].tanh_()
    return [b, c, d, e]


def in_place_with_itself(lib, x, y):
    b = x * 1
    b.add_(b)
    v = b[0]
    v.sub_(v, alpha=3)
    return [b]


def clamp_in_place(lib, x, y):
    b = x * 3
    b[1:].clamp_(1.0, 2.0)
    return [b]


def write_into_the_diagonal(lib, x, y):
    b = x * 1
    b.diagonal().mul_(10)
    b.diagonal(1).copy_(y[0, :3])
    return [b]


def transposed_writes(lib, x, y):
    b = x * 1
    t = b.t()
    t[1:3].mul_(y.t()[1:3])
    return [b, t]


def squeeze_and_unsqueeze(lib, x, y):
    b = x * 1
    b.unsqueeze(0)[0, 1].mul_(4)
    b[:1].squeeze(0).mul_(5)
    return [b]


def detached_alias_writes(lib, x, y):
    b = x * 1
    b.detach()[0].fill_(100)
    return [b + y]


def under_no_grad(lib, x, y):
    b = x * 1
    with lib.no_grad():
        b[0].mul_(2)
    return [b + 1]


def a_view_of_a_leaf_is_read(lib, x, y):
    v = x[1]
    return [v * v, x.t()[0] * v[0]]


def index_put(lib, x, y):
    b = x * 1
    b[lib.tensor([0, 2])] = y[:2]
    b[b > 1.05] = 0.5
    b[lib.tensor([0, 1]), lib.tensor([1, 2])] = y[0, :2]
    return [b * b]


def masked_writes(lib, x, y):
    b = x * 1
    b.masked_fill_(x.detach() > 0.8, 2.0)
    b[0].masked_fill_(lib.tensor([True, False, True, False]), -1.0)
    return [b * y]


def scatter_and_index_add(lib, x, y):
    b = x * 1
    b.index_add_(0, lib.tensor([0, 0, 2]), y)
    b[1:].scatter_add_(1, lib.tensor([[0, 0], [3, 1]]), y[:2, :2])
    return [b.sin()]


def setitem_with_steps_and_none(lib, x, y):
    b = x * 1
    b[::2, 1::2] = y[::2, :2]
    b[None, 1] = 7
    b[..., -1] = x[:, 0]
    return [b * b]


def augmented_operators(lib, x, y):
    b = x * 1
    b += y
    b *= 2
    b[0] -= x[1]
    b[:, 1] /= y[:, 2]
    b **= 2
    return [b]


def a_view_saved_before_the_write(lib, x, y):
    b = x * 1
    v = b[0]
    r = v.exp()  # saves its result, not v
    b.add_(1)
    return [r, b]


def split_parts_are_read(lib, x, y):
    p, q = (x * y).split(2, 1)
    return [p * q]


def grad_fn_of_a_view_is_renewed(lib, x, y):
    b = x * 1
    v = b[0]
    first = v.grad_fn
    b.mul_(2)
    assert v.grad_fn is not first
    return [v]


def retain_grad_after_the_write(lib, x, y):
    b = x * 1
    b.mul_(y)
    b.retain_grad()
    (b * b).sum().backward(retain_graph=True)
    return [b * b.grad]


def accumulate_rows(lib, x, y):
    out = lib.zeros(3, 4, dtype=lib.float64)
    h = y[0]
    for i in range(3):
        h = (h * x[i]).tanh()
        out[i] = h
    return [out * y]


def functions_of(*names):
    """The functions above that take just these arguments."""
    functions = [f for f in globals().values() if hasattr(f, "__code__")]
    return [f for f in functions if inspect.getfullargspec(f).args == list(names)]


PROGRAMS = functions_of("lib", "x", "y")


def finish(lib, x, y, results):
    """A number that feels each element of each result, and its gradients."""
    total = 0
    for i, r in enumerate(results):
        weights = np.cos(np.arange(r.numel()) + i).reshape(tuple(r.shape))
        total = total + (r * lib.tensor(weights)).sum()
    total.backward()
    return [total, *results, *(lib.zeros_like(t) if t.grad is None else t.grad for t in (x, y))]


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(numpy_of(a), numpy_of(b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_programs_as_in_pytorch(program):
    torch = pytest.importorskip("torch")
    outcomes = []
    for lib in (tg, torch):
        x, y = start(lib)
        outcomes.append(finish(lib, x, y, program(lib, x, y)))
    assert_same(*outcomes)


def assert_gradients_follow_values(run):
    """run(x, y) gives what `finish` gives; its gradients are compared with differences."""

    def value(points):
        return run(*(tg.tensor(p, requires_grad=True) for p in points))

    points = [START, START[::-1].copy() + 2]
    outcome = value(points)
    rng = np.random.default_rng(0)
    for which in (0, 1):
        direction = rng.choice([-1.0, 1.0], START.shape)
        ends = []
        for step in (1e-6, -1e-6):
            moved = [p.copy() for p in points]
            moved[which] += step * direction
            ends.append(value(moved)[0].item())
        slope = (ends[0] - ends[1]) / 2e-6
        grad = numpy_of(outcome[-2 + which])
        assert float((grad * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-6)


# The others write where autograd is told not to look.
VISIBLE = [
    p
    for p in PROGRAMS
    if p not in (detached_alias_writes, under_no_grad, retain_grad_after_the_write)
]


@pytest.mark.parametrize("program", VISIBLE, ids=lambda p: p.__name__)
def test_programs_against_differences(program):
    assert_gradients_follow_values(lambda x, y: finish(tg, x, y, program(tg, x, y)))


# What must be refused, here as in PyTorch.
def expanded_add(lib):
    lib.ones(1, 3).expand(2, 3).add_(1)


def expanded_fill(lib):
    lib.ones(1).expand(3)[:2].copy_(lib.zeros(2))


def expanded_mul(lib):
    lib.ones(3, 1).expand(3, 2).mul_(lib.ones(3, 2))


def overlapping_add(lib):
    x = lib.arange(5.0)
    x[1:].add_(x[:-1])


def overlapping_mul(lib):
    x = lib.ones(3, 3)
    x.mul_(x.t())


def leaf_in_place(lib):
    lib.ones(2, requires_grad=True).mul_(2)


def leaf_view_in_place(lib):
    lib.ones(2, requires_grad=True)[0].mul_(2)


def view_made_under_no_grad(lib):
    b = lib.ones(4, requires_grad=True) * 1
    with lib.no_grad():
        v = b[:2]
    v.mul_(2)


def shape_would_grow(lib):
    lib.ones(3).add_(lib.ones(2, 3))


def dtype_would_change(lib):
    lib.ones(3, dtype=lib.int64).mul_(1.5)


def saved_base_changed(lib):
    b = lib.ones(4, requires_grad=True) * 1
    r = b[:2] * b[2:]
    b.add_(1)
    r.sum().backward()


def multiplied_by_itself(lib):
    b = lib.ones(4, requires_grad=True) * 1
    b.mul_(b)
    b.sum().backward()


def saved_output_changed_through_a_view(lib):
    r = lib.ones(4, requires_grad=True).exp()
    r[0] = 0.0
    r.sum().backward()


REFUSED = [f for f in functions_of("lib") if f is not start]


@pytest.mark.parametrize("program", REFUSED, ids=lambda p: p.__name__)
def test_refused(program):
    with pytest.raises(RuntimeError):
        program(tg)


@pytest.mark.parametrize("program", REFUSED, ids=lambda p: p.__name__)
def test_refused_by_pytorch_too(program):
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError):
        program(torch)


@pytest.mark.kernel
@pytest.mark.parametrize("dtype", [tg.bool, tg.uint8, tg.int32, tg.int64, tg.float32, tg.float64])
def test_a_write_stays_within_its_view(dtype):
    """Kernels work on whole blocks where memory has room for them: a neighbour is not room."""
    for n in range(1, 70):
        base = tg.ones(n + 20, dtype=dtype)
        shared = np.ones(n + 20, dtype=base.numpy().dtype)
        ours, numpys = base[:n], tg.from_numpy(shared[:n])
        for view in (ours, numpys):
            view.mul_(tg.zeros(n, dtype=dtype))
        for values in (base.numpy(), shared):
            assert not values[:n].any()
            assert values[n:].all()
        assert tg.equal(ours + base[20:], base[20:])  # reads beyond a view count for nothing


def test_split_parts_can_be_written():
    """PyTorch refuses this."""
    x = tg.ones(4, requires_grad=True)
    b = x * 1
    p, q = b.split(2)
    p.mul_(5)
    (b * b).sum().backward()
    assert x.grad.tolist() == [50.0, 50.0, 2.0, 2.0] and q.tolist() == [1.0, 1.0]


def test_allowed_writes_that_look_alike():
    x = tg.arange(6.0)
    x[:3].add_(x[3:])
    x[::2].mul_(x[1::2])
    x.add_(x)
    assert x.tolist() == [30.0, 10.0, 42.0, 6.0, 40.0, 10.0]
    e = tg.ones(1, 3).expand(2, 3)
    assert (e + 1).tolist() == [[2.0] * 3] * 2 and e.clone().add_(1).tolist() == [[2.0] * 3] * 2
    tg.ones(3, 1).expand(3, 1).add_(1)


# Random programs: a list of instructions, run by each library alike.
VIEWS = [
    lambda t, i: t[i % t.shape[0]],
    lambda t, i: t[i % t.shape[0] :],
    lambda t, i: t[::2],
    lambda t, i: t.t() if t.dim() == 2 else t[None],
    lambda t, i: t.reshape(-1) if t.is_contiguous() else t,
    lambda t, i: t[..., : 1 + i % t.shape[-1]],
    lambda t, i: t.unsqueeze(i % (t.dim() + 1)),
    lambda t, i: t.transpose(0, -1),
    lambda t, i: t.diagonal() if t.dim() == 2 else t.view(t.shape),
    lambda t, i: t.detach(),  # the last one
]
WRITES = [
    lambda t, u, i: t.mul_(0.5 + i % 3),
    lambda t, u, i: t.add_(u),
    lambda t, u, i: t.copy_(u),
    lambda t, u, i: t.mul_(u.mean()),
    lambda t, u, i: t.zero_(),
    lambda t, u, i: t.fill_(u.sum()) if u.dim() == 0 else t.fill_(0.25),
    lambda t, u, i: t.sin_(),
    lambda t, u, i: t.__setitem__(i % t.shape[0], u.mean()),
    lambda t, u, i: t.clamp_(-0.93, 1.07),
]
PURE = [
    lambda t, u, i: t * 2,
    lambda t, u, i: t + u,
    lambda t, u, i: t.cos(),
    lambda t, u, i: t * t.sum(),
    lambda t, u, i: t.clone(),
]
numbers = st.integers(0, 20)
instructions = st.lists(
    st.tuples(st.sampled_from(["view", "view", "write", "write", "pure"]), *[numbers] * 4),
    max_size=12,
)


def apart(lib, t, u):
    """u; for PyTorch a copy where it would read through gaps what it has just written to t."""
    if lib is tg or u is t or u.untyped_storage().data_ptr() != t.untyped_storage().data_ptr():
        return u
    dense = [lib.ops.aten.is_non_overlapping_and_dense(each) for each in (t, u)]
    return u if all(dense) else u.clone()


def run(lib, program, x, y):
    tensors = [x * 1, y * 1, lib.zeros(2, 2, dtype=lib.float64)]
    for kind, which, j, k, i in program:
        t, u = tensors[j % len(tensors)], tensors[k % len(tensors)]
        if kind == "view":
            tensors.append(VIEWS[which % len(VIEWS)](t, i))
        elif kind == "pure":
            tensors.append(PURE[which % len(PURE)](t, u, i))
        else:
            WRITES[which % len(WRITES)](t, apart(lib, t, u), i)
    return finish(lib, x, y, tensors)


def outcome(lib, program):
    try:
        return run(lib, program, *start(lib))
    except (RuntimeError, IndexError) as error:
        return type(error)


def compare(program):
    torch = pytest.importorskip("torch")
    ours, theirs = outcome(tg, program), outcome(torch, program)
    if isinstance(ours, type) and isinstance(theirs, type):
        return  # both refuse, if not at the same instruction: see below
    if isinstance(theirs, type):
        # PyTorch counts a saved tensor as changed even where no gradient reaches it any more.
        views = [VIEWS[which % len(VIEWS)] for kind, which, *_ in program if kind == "view"]
        if VIEWS[-1] not in views:
            assert_gradients_follow_values(lambda x, y: run(tg, program, x, y))
    else:
        assert not isinstance(ours, type), f"{ours} where PyTorch gives a result"
        assert_same(ours, theirs)


@given(instructions)
@settings(max_examples=500)
def test_random_programs(program):
    compare(program)


@pytest.mark.soak
@given(instructions)
@settings(max_examples=20_000, derandomize=False)
def test_random_programs_for_long(program):
    compare(program)
