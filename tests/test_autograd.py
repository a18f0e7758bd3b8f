"""Autograd's rules: what accumulates, what is freed, who is asked, what is refused."""

import functools
import threading

import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import autograd


def leaf(*values, dtype=None):
    return tg.tensor(list(values), dtype=dtype or tg.float64, requires_grad=True)


# --- accumulation -----------------------------------------------------------------------------


def test_gradients_accumulate_in_place():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    first = x.grad
    assert first.tolist() == [2.0, 4.0]
    (x * 3).sum().backward()
    assert x.grad is first and first.tolist() == [5.0, 7.0]


def test_gradient_starts_anew_from_none():
    x = leaf(1.0)
    (x * 2).sum().backward()
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0]


@pytest.mark.parametrize("data", [tg.ones(2), tg.ones(3, dtype=tg.float64)])
def test_gradients_that_no_longer_fit_are_not_added_to(data):
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    x.data = data
    with pytest.raises(
        RuntimeError, match=r"accumulating a gradient: \.grad, float64 .* does not fit"
    ):
        (x * x).sum().backward()
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0] * len(data) and x.grad.dtype == data.dtype


def test_leaves_do_not_share_their_gradients():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).sum().backward()
    x.grad.mul_(10)
    assert y.grad.tolist() == [1.0, 1.0] and x.grad.tolist() == [10.0, 10.0]


def test_incoming_gradient_stays_the_callers():
    x, g = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    y = x + 0
    y.backward(g, retain_graph=True)
    y.backward(g)
    assert g.tolist() == [1.0, 1.0] and x.grad.tolist() == [2.0, 2.0]
    g.zero_()
    assert x.grad.tolist() == [2.0, 2.0]


def test_gradients_can_be_written():
    x = tg.zeros(2, 3, requires_grad=True)
    x.sum().backward()
    x.grad[0].add_(1)
    assert x.grad.tolist() == [[2.0] * 3, [1.0] * 3]


def test_gradient_may_be_set():
    x = leaf(1.0, 2.0)
    x.grad = tg.tensor([5.0, 6.0], dtype=tg.float64)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [7.0, 8.0]
    with pytest.raises(RuntimeError):
        x.grad = tg.zeros(3, dtype=tg.float64)
    with pytest.raises(RuntimeError):
        x.grad = tg.zeros(2, dtype=tg.float32)
    with pytest.raises(TypeError):
        x.grad = 3


def test_diamonds_add_up():
    x = leaf(2.0)
    a = x * 3
    b, c = a * a, a + 1
    (b * c + b).sum().backward()
    # y = 9x² (3x + 1) + 9x² = 27x³ + 18x²
    assert x.grad.tolist() == [81 * 4.0 + 36 * 2.0]


# --- backward ---------------------------------------------------------------------------------


def test_only_scalars_need_no_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="scalar"):
        (x * 2).backward()
    (x * 2).backward(tg.tensor([1.0, 10.0], dtype=tg.float64))
    assert x.grad.tolist() == [2.0, 20.0]
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(tg.ones(3, dtype=tg.float64))
    with pytest.raises(RuntimeError):
        tg.ones(1).sum().backward()


def test_backward_of_a_leaf():
    x = tg.tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1.0


def test_second_backward_needs_retain_graph():
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12.0]
    with pytest.raises(RuntimeError, match="freed"):
        y.backward()


def test_freed_part_of_a_graph():
    x = leaf(3.0)
    shared = x * x
    (shared * 2).sum().backward()
    with pytest.raises(RuntimeError, match="freed"):
        (shared * 3).sum().backward()


def test_create_graph():
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.tolist() == [12.0] and x.grad.requires_grad
    (first,) = autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = autograd.grad(first.sum(), x, create_graph=True)
    (third,) = autograd.grad(second.sum(), x)
    assert (second.tolist(), third.tolist()) == ([12.0], [6.0])
    assert not third.requires_grad


def test_gradient_penalty():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (g,) = autograd.grad((w * x * x).sum(), x, create_graph=True)
    (g * g).sum().backward()
    # sum (2 w x)²: by w 8 w x², by x 8 w² x
    assert w.grad.tolist() == [24.0, 128.0] and x.grad.tolist() == [72.0, 256.0]


def test_inputs_limits_who_gets_a_gradient():
    x, w = leaf(2.0), leaf(3.0)
    (x * w).sum().backward(inputs=[w])
    assert x.grad is None and w.grad.tolist() == [2.0]
    (x * w).sum().backward(inputs=x)
    assert x.grad.tolist() == [3.0] and w.grad.tolist() == [2.0]
    with pytest.raises(RuntimeError):
        (x * w).sum().backward(inputs=[])


# --- autograd.grad ----------------------------------------------------------------------------


def test_grad_returns_and_leaves_alone():
    x, w = leaf(2.0), leaf(3.0)
    gx, gw = autograd.grad((x * w).sum(), [x, w])
    assert (gx.tolist(), gw.tolist()) == ([3.0], [2.0])
    assert x.grad is None and w.grad is None


def test_grad_with_outputs_and_inner_tensors():
    x = leaf(2.0, 3.0)
    y = x * x
    z = y * 5
    (gy,) = autograd.grad(z, y, grad_outputs=tg.ones(2, dtype=tg.float64), retain_graph=True)
    assert gy.tolist() == [5.0, 5.0]
    g = [tg.tensor([1.0, 2.0], dtype=tg.float64), tg.tensor([10.0, 0.0], dtype=tg.float64)]
    (gx,) = autograd.grad([y, z], [x], grad_outputs=g)
    assert gx.tolist() == [4.0 + 200.0, 12.0]


def test_unused_inputs():
    x, unused = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match="allow_unused"):
        autograd.grad((x * 2).sum(), [x, unused])
    gx, gu = autograd.grad((x * 2).sum(), [x, unused], allow_unused=True)
    assert gx.tolist() == [2.0] and gu is None
    with pytest.raises(RuntimeError):
        autograd.grad((x * 2).sum(), tg.ones(1))


def test_grad_of_an_output_itself():
    x = leaf(2.0)
    y = (x * 2).sum()
    (g,) = autograd.grad(y, y)
    assert g.item() == 1.0


# --- grad mode --------------------------------------------------------------------------------


def test_modes_nest_and_are_restored():
    x = leaf(1.0)
    assert tg.is_grad_enabled()
    with tg.no_grad():
        assert not tg.is_grad_enabled() and not (x * 2).requires_grad
        with tg.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
        with tg.set_grad_enabled(True):
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        _ = 1 / 0
    assert tg.is_grad_enabled()


def test_set_grad_enabled_as_a_call():
    tg.set_grad_enabled(False)
    try:
        assert not tg.is_grad_enabled()
    finally:
        tg.set_grad_enabled(True)
    assert tg.is_grad_enabled()


@pytest.mark.parametrize("mode", [lambda: tg.no_grad(), lambda: tg.set_grad_enabled(False)])
def test_modes_decorate(mode):
    @mode()
    def twice(x, *, plus=0):
        """Double."""
        return x * 2 + plus

    x = leaf(1.0)
    assert tg.is_grad_enabled()
    assert not twice(x, plus=1).requires_grad and twice(x, plus=1).tolist() == [3.0]
    assert (twice.__name__, twice.__doc__) == ("twice", "Double.")
    assert (x * 2).requires_grad


def test_no_grad_decorates_without_a_call():
    @tg.no_grad
    def twice(x):
        return x * 2

    assert not twice(leaf(1.0)).requires_grad

    @tg.enable_grad()
    def thrice(x):
        return x * 3

    with tg.no_grad():
        assert thrice(leaf(1.0)).requires_grad


def test_one_mode_object_entered_twice():
    mode = tg.no_grad()
    with mode:
        pass
    with mode:
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_modes_belong_to_a_thread():
    seen = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_leaves_made_under_no_grad():
    with tg.no_grad():
        x = tg.ones(2, requires_grad=True)
        y = x * 2
    assert x.requires_grad and y.is_leaf and not y.requires_grad
    (x * y).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


# --- leaves and the graph ---------------------------------------------------------------------


def test_requires_grad_is_for_floating_leaves():
    x = tg.ones(2)
    assert not x.requires_grad and x.is_leaf
    assert x.requires_grad_() is x and x.requires_grad
    x.requires_grad = False
    assert not x.requires_grad
    for make in (lambda: tg.arange(3).requires_grad_(), lambda: tg.tensor([1], requires_grad=True)):
        with pytest.raises(RuntimeError, match=r"[Ff]loat"):
            make()
    y = leaf(1.0) * 2
    assert not y.is_leaf
    with pytest.raises(RuntimeError):
        y.requires_grad_(False)


def test_detach_shares_memory_and_stops_gradients():
    x = leaf(1.0, 2.0)
    d = x.detach()
    assert d.is_leaf and not d.requires_grad and d.data_ptr() == x.data_ptr()
    (x * x.detach()).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]


def test_graph_can_be_walked():
    x, w = leaf(1.0), leaf(2.0)
    y = (x * w).exp().sum()
    assert y.grad_fn.name() == "SumBackward0" and x.grad_fn is None
    ((exp, _),) = y.grad_fn.next_functions
    ((mul, _),) = exp.next_functions
    assert (exp.name(), mul.name()) == ("ExpBackward0", "MulBackward0")
    assert ["AccumulateGrad" in fn.name() for fn, _ in mul.next_functions] == [True, True]
    assert [fn for fn, _ in (x * 2).grad_fn.next_functions].count(None) <= 1
    assert "MulBackward0" in repr((x * w).grad_fn)


def test_retain_grad():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    z = y * y
    z.sum().backward()
    assert y.grad.tolist() == [12.0] and x.grad.tolist() == [36.0]
    x.retain_grad()
    with pytest.raises(RuntimeError):
        tg.ones(1).retain_grad()


# --- hooks ------------------------------------------------------------------------------------


def test_hooks_see_and_change_gradients():
    x = leaf(1.0, 2.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g + 1)
    (y * 2).sum().backward()
    assert seen == [[2.0, 2.0], [20.0, 20.0]] and x.grad.tolist() == [61.0, 61.0]


def test_hook_sees_the_whole_gradient_once():
    x = leaf(1.0)
    calls = []
    y = x * 2
    y.register_hook(lambda g: calls.append(g.item()))
    x.register_hook(lambda g: calls.append(g.item()))
    (y * 3 + y * 4).sum().backward()
    assert calls == [7.0, 14.0]


def test_hooks_can_be_removed():
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g * 100)
    (x * 2).sum().backward()
    handle.remove()
    handle.remove()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [202.0]


def test_hooks_with_retain_grad_and_grad():
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    (y * 3).sum().backward()
    assert y.grad.tolist() == [15.0] and x.grad.tolist() == [30.0]
    y = x * 2
    y.register_hook(lambda g: g * 5)
    (gx,) = autograd.grad((y * 3).sum(), x)
    assert gx.tolist() == [30.0]


def test_hooks_need_a_gradient():
    with pytest.raises(RuntimeError, match="require"):
        tg.ones(1).register_hook(lambda g: g)


def test_hooks_may_not_change_a_gradients_type():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.float())
    with pytest.raises(RuntimeError, match=r"changed the type of value \(was float64, got float32"):
        (x * 2).sum().backward()


def test_errors_in_hooks_come_out_and_leave_all_usable():
    x = leaf(1.0)
    y = x * 2
    handle = y.register_hook(lambda g: 1 / 0)
    z = (y * y).sum()
    with pytest.raises(ZeroDivisionError):
        z.backward(retain_graph=True)
    handle.remove()
    z.backward()
    assert x.grad.tolist() == [8.0]
    for wrong in (lambda g: "no tensor", lambda g: g[:0]):
        y = x * 2
        y.register_hook(wrong)
        with pytest.raises((TypeError, RuntimeError)):
            y.sum().backward()


def test_backward_inside_a_hook():
    x, w = leaf(2.0), leaf(5.0)
    y = x * 3

    @tg.enable_grad()
    def hook(g):
        (w * w).sum().backward()

    y.register_hook(hook)
    (y * y).sum().backward()
    assert x.grad.tolist() == [36.0] and w.grad.tolist() == [10.0]


# --- custom functions -------------------------------------------------------------------------


class MulAdd(autograd.Function):
    """a * b + constant."""

    @staticmethod
    def forward(ctx, a, b, constant=1.0):
        ctx.save_for_backward(a, b)
        ctx.constant = constant
        return a * b + constant

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return (
            g * b if ctx.needs_input_grad[0] else None,
            g * a if ctx.needs_input_grad[1] else None,
            None,
        )


def test_function():
    a, b = leaf(2.0), leaf(3.0)
    y = MulAdd.apply(a, b, 5.0)
    assert y.tolist() == [11.0] and y.grad_fn.name() == "MulAddBackward"
    (y * 2).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([6.0], [4.0])
    assert not MulAdd.apply(a.detach(), b.detach(), 1.0).requires_grad
    with tg.no_grad():
        assert not MulAdd.apply(a, b, 1.0).requires_grad


def test_function_is_asked_only_for_what_is_needed():
    class Ask(autograd.Function):
        @staticmethod
        def forward(ctx, a, b, c):
            return a + b

        @staticmethod
        def backward(ctx, g):
            asked.append(ctx.needs_input_grad)
            return g, g, None

    asked = []
    a = leaf(1.0)
    Ask.apply(a, tg.ones(1, dtype=tg.float64), "c").sum().backward()
    assert [tuple(x) for x in asked] == [(True, False, False)] and a.grad.tolist() == [1.0]


def test_function_twice_differentiable():
    a, b = leaf(2.0), leaf(3.0)
    (ga,) = autograd.grad((MulAdd.apply(a, b, 0.0) ** 2).sum(), a, create_graph=True)
    assert ga.tolist() == [36.0]
    (gb,) = autograd.grad(ga.sum(), b)
    assert gb.tolist() == [24.0]  # d(2ab²)/db = 4ab


def test_function_runs_forward_without_grad():
    class Look(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            modes.append(tg.is_grad_enabled())
            return x * 1

        @staticmethod
        def backward(ctx, g):
            modes.append(tg.is_grad_enabled())
            return g

    modes = []
    x = leaf(1.0)
    Look.apply(x).sum().backward()
    Look.apply(x).sum().backward(create_graph=True)
    assert modes == [False, False, False, True]


def test_function_with_several_outputs():
    class Split(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            index = x.argmax()
            ctx.mark_non_differentiable(index)
            return x * 2, x * 3, index

        @staticmethod
        def backward(ctx, g2, g3, g_index):
            return g2 * 2 + g3 * 3

    x = leaf(1.0, 2.0)
    a, b, index = Split.apply(x)
    assert index.item() == 1 and not index.requires_grad
    (a * 10 + b).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [23.0, 23.0]
    x.grad = None
    b.sum().backward()  # the gradient of `a` comes in as zeros
    assert x.grad.tolist() == [3.0, 3.0]


def test_function_that_returns_its_input():
    class Same(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x) if hasattr(x, "view_as") else x.view(x.shape)

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = leaf(1.0)
    Same.apply(x).sum().backward()
    assert x.grad.tolist() == [7.0]


def test_function_that_writes_in_place():
    class Double(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0)
    y = x * 1
    z = Double.apply(y)
    assert z is y and y.tolist() == [2.0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [8.0]


@pytest.mark.parametrize("result", [lambda g: (g, g), lambda g: "text", lambda g: g[:0]])
def test_function_with_a_wrong_gradient(result):
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return result(g)

    y = Wrong.apply(leaf(1.0, 2.0))
    with pytest.raises((RuntimeError, TypeError)):
        y.sum().backward()


def test_function_without_backward():
    class Half(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

    with pytest.raises((NotImplementedError, RuntimeError)):
        Half.apply(leaf(1.0)).sum().backward()


def test_function_as_a_checkpoint():
    """Backward that runs a graph of its own."""

    class Checkpoint(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.exp().sin()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with tg.enable_grad():
                x = x.detach().requires_grad_()
                y = x.exp().sin()
            y.backward(g)
            return x.grad

    a, b = leaf(0.3, 0.4), leaf(0.3, 0.4)
    Checkpoint.apply(a * 2).sum().backward()
    (b * 2).exp().sin().sum().backward()
    assert a.grad.tolist() == pytest.approx(b.grad.tolist())


def test_saved_tensors_of_a_function_are_guarded():
    a, b = leaf(2.0), tg.tensor([3.0], dtype=tg.float64)
    y = MulAdd.apply(a, b, 0.0)
    b.add_(1)
    with pytest.raises(RuntimeError, match="MulAdd"):
        y.sum().backward()
    y = MulAdd.apply(a, b, 0.0)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="freed"):
        y.sum().backward()


# --- versions ---------------------------------------------------------------------------------

# (op of x and y, which must not change: "x", "y", "out")
SAVING = {
    "mul": (lambda x, y: x * y, "y"),
    "div": (lambda x, y: x / y, "y"),
    "pow": (lambda x, y: x**y, "y"),
    "exp": (lambda x, y: x.exp(), "out"),
    "tanh": (lambda x, y: x.tanh(), "out"),
    "sigmoid": (lambda x, y: x.sigmoid(), "out"),
    "sqrt": (lambda x, y: x.sqrt(), "out"),
    "softmax": (lambda x, y: x.softmax(0), "out"),
    "matmul": (lambda x, y: x @ y, "y"),
    "maximum": (lambda x, y: tg.maximum(x, y), "y"),
}
WRITES = {
    "itself": lambda t: t.add_(1),
    "a view": lambda t: t[:1].zero_(),
    "an alias": lambda t: t.detach().mul_(2),
    "an item": lambda t: t.__setitem__(0, 5.0),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("op", SAVING)
def test_changed_saved_tensors_are_noticed(op, write):
    call, what = SAVING[op]
    x, y = leaf(1.0, 2.0), tg.tensor([3.0, 4.0], dtype=tg.float64)
    out = call(x, y)
    with tg.no_grad():
        WRITES[write](y if what == "y" else out)
    with pytest.raises(RuntimeError) as error:
        out.sum().backward()
    text = str(error.value)
    # The tensor by its shape, the op by its name.
    assert "[2]" in text or "(2," in text
    assert "Backward" in text or op in text.lower()
    assert "in" in text and "place" in text


def test_changes_that_do_not_matter():
    x, y = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    out = x + y
    y.add_(1)  # addition saves nothing
    out = (out * 3).sum()
    out.backward()
    assert x.grad.tolist() == [3.0, 3.0]
    z = x * y
    y = y + 1  # another tensor
    z.sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_optimizer_step_between_forward_and_backward():
    w = leaf(2.0)
    y = (w * w).sum()
    with tg.no_grad():
        w.sub_(0.1)
    with pytest.raises(RuntimeError, match="place"):
        y.backward()


# --- writing in place to leaves -----------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(1),
        lambda x: x.zero_(),
        lambda x: x.__setitem__(0, 1.0),
        lambda x: x[0].mul_(2),
        lambda x: x.view(-1).fill_(1),
        lambda x: x.t().copy_(tg.zeros(2, 2)) if x.dim() == 2 else x[:1].copy_(tg.zeros(1)),
        lambda x: functools.reduce(lambda t, _: t[:], range(3), x).exp_(),
    ],
)
def test_leaves_that_require_grad_are_not_written_to(write):
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="leaf"):
        write(x)
    assert x.tolist() == [1.0, 2.0]
    with tg.no_grad():
        write(x)
    assert x.requires_grad and x.is_leaf


def test_writing_makes_a_plain_tensor_part_of_the_graph():
    x, buffer = leaf(2.0), tg.zeros(3, dtype=tg.float64)
    buffer[1] = x[0] * 3
    assert buffer.requires_grad and not buffer.is_leaf
    (buffer * buffer).sum().backward()
    assert x.grad.tolist() == [36.0]
