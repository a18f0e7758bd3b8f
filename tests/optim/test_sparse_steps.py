"""Steps with row-sparse gradients: PyTorch's paths and the formula, and what may not be combined."""

from functools import cache

import numpy as np
import pytest
from checks import generator
from optim_references import MUTANTS, REFERENCES, mutant
from optim_runs import SPARSE, SPARSE_CASES, SPARSE_IDS, STEPS, assert_same_path, scheduled

import tinygrad_lessons as tg
from tinygrad_lessons import optim

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own
SHAPES = [(11, 3), (5, 1), (60, 17)]  # of the tables


def problem(dtype):
    """Tables, and per step and table what to look up, often twice, and the gradient there, or None."""
    rng = generator("sparse", dtype)
    tables = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    lookups = []
    for t in range(STEPS):
        row = []
        for i, (rows, columns) in enumerate(SHAPES):
            n = int(rng.integers(0, 2 * rows))
            g = rng.normal(size=(n, columns)) * 10.0 ** rng.integers(-3, 2, (n, columns))
            lookup = rng.integers(0, rows, n), g.astype(dtype)
            row.append(None if (i + t) % 4 == 0 and t % 7 < 3 else lookup)
        lookups.append(row)
    return tables, lookups


def look_up(lib, table, lookup):
    """Leave the gradient of the lookup in table.grad."""
    table.grad = None
    if lookup is not None:
        index, g = map(lib.tensor, lookup)
        lib.nn.functional.embedding(index, table, sparse=True).backward(g)
        assert table.grad.is_sparse


def go(lib, optimizer, tables, lookups, first=0):
    base = optimizer.param_groups[0]["lr"] / scheduled(1.0, first)
    path = []
    for t, row in enumerate(lookups, first):
        optimizer.param_groups[0]["lr"] = scheduled(base, t)
        for table, lookup in zip(tables, row, strict=True):
            look_up(lib, table, lookup)
        optimizer.step()
        path.append([p.detach().numpy().astype(np.float64) for p in tables])
    return path


def run(lib, name, options, dtype):
    starts, lookups = problem(dtype)
    tables = [lib.tensor(start, requires_grad=True) for start in starts]
    return go(lib, getattr(lib.optim, name)(tables, **options), tables, lookups)


@cache
def torch_path(case, dtype):
    name, _, _, options = SPARSE_CASES[case]
    return run(pytest.importorskip("torch"), name, options, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", range(len(SPARSE_CASES)), ids=SPARSE_IDS)
def test_same_path(case, dtype):
    name, _, _, options = SPARSE_CASES[case]
    assert_same_path(run(tg, name, options, dtype), torch_path(case, dtype), dtype)


def as_torch(torch, value, name=None):
    """The momentum's buffer sparse, as PyTorch has it: it cannot add a sparse gradient and a dense one."""
    if isinstance(value, dict):
        return {key: as_torch(torch, item, key) for key, item in value.items()}
    if not isinstance(value, tg.Tensor):
        return value
    tensor = torch.tensor(value.numpy())
    return tensor.to_sparse(1) if name == "momentum_buffer" else tensor


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ours_first", [False, True], ids=["from", "to"])
@pytest.mark.parametrize("case", range(len(SPARSE_CASES)), ids=SPARSE_IDS)
def test_state_moves_over(case, dtype, ours_first):
    torch = pytest.importorskip("torch")
    source, target = (tg, torch) if ours_first else (torch, tg)
    name, _, _, options = SPARSE_CASES[case]
    starts, lookups = problem(dtype)
    tables = [source.tensor(start, requires_grad=True) for start in starts]
    old = getattr(source.optim, name)(tables, **options)
    path = go(source, old, tables, lookups[:50])
    moved = [target.tensor(p.detach().numpy(), requires_grad=True) for p in tables]
    new = getattr(target.optim, name)(moved, **options)
    state = old.state_dict()
    new.load_state_dict(as_torch(torch, state) if ours_first else state)
    path += go(target, new, moved, lookups[50:], first=50)
    assert_same_path(path, torch_path(case, dtype), dtype)


def reference_path(rule, options, dtype):
    starts, lookups = problem(dtype)
    tables = [start.astype(np.float64) for start in starts]
    states, path = [{} for _ in tables], []
    for t, row in enumerate(lookups):
        for i, lookup in enumerate(row):
            if lookup is None:
                continue
            index, values = lookup
            g = np.zeros(tables[i].shape)
            np.add.at(g, index, values.astype(np.float64))
            g[np.setdiff1d(np.arange(len(g)), index)] = np.nan
            now = {**options, "lr": scheduled(options["lr"], t)}
            tables[i] = rule(tables[i], g, states[i], **now)
        path.append(list(tables))
    return path


@pytest.mark.kernel
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", SPARSE["SparseAdam"])
def test_formula(options, dtype):
    expected = reference_path(REFERENCES["sparse_adam"], options, dtype)
    assert_same_path(run(tg, "SparseAdam", options, dtype), expected, dtype)


@pytest.mark.parametrize("mistake", [name for name in MUTANTS if MUTANTS[name][0] == "sparse_adam"])
def test_mistakes_are_caught(mistake):
    wrong = mutant(*MUTANTS[mistake])
    caught = 0
    for options in SPARSE["SparseAdam"]:
        try:
            assert_same_path(
                run(tg, "SparseAdam", options, "float64"),
                reference_path(wrong, options, "float64"),
                "float64",
            )
        except AssertionError:
            caught += 1
    assert caught


@pytest.mark.kernel
@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"max_grad_norm": 0.01},
        {"l1": 0.05, "l2": 0.3},
        {"group_lasso": 0.05},
        {"max_norm": 0.5},
    ],
    ids=lambda extra: "-".join(extra) or "plain",
)
def test_as_a_dense_step_of_the_rows_alone(name, extra):
    """For the rules on elements, and all that a group may add to them: other rows stay bit for bit."""
    rng = np.random.default_rng(1)
    values, index = rng.normal(size=(2000, 100)), np.arange(1, 2000, 2)
    g = rng.normal(size=(len(index), 100))
    table = tg.tensor(values, requires_grad=True)
    part = tg.tensor(values[index], requires_grad=True)
    optimizers = [
        getattr(optim, name)([{"params": [table], **extra}], lr=0.1),
        getattr(optim, "Adagrad" if name == "Adagrad" else "SGD")(
            [{"params": [part], **extra}], lr=0.1
        ),
    ]
    if name == "SparseAdam":  # its first step is one along the sign
        optimizers[1] = optim.Adam([{"params": [part], **extra}], lr=0.1, eps=1e-30)
        optimizers[0].param_groups[0]["eps"] = 1e-30
    look_up(tg, table, (index, g))
    part.grad = tg.tensor(g)
    for optimizer in optimizers:
        optimizer.step()
    after, others = table.detach().numpy(), np.setdiff1d(np.arange(2000), index)
    np.testing.assert_array_equal(after[others], values[others])
    np.testing.assert_allclose(after[index], part.detach().numpy(), rtol=1e-12, atol=1e-15)
    assert np.abs(after[index] - values[index]).min() > 0


@pytest.mark.parametrize("name", SPARSE)
def test_layouts_and_empty_lookups(name):
    """A transposed table, and a gradient of no rows, which counts as a step and moves nothing."""
    values = np.arange(12.0).reshape(4, 3)
    plain = tg.tensor(values, requires_grad=True)
    turned = tg.tensor(values.T.copy()).t().requires_grad_()
    assert not turned.is_contiguous()
    optimizers = [getattr(optim, name)([p], lr=0.1) for p in (plain, turned)]
    for index in ([3, 1, 3], [], [0]):
        before = plain.tolist()
        look_up(tg, plain, (np.array(index, np.int64), np.ones((len(index), 3))))
        turned.grad = plain.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
        assert plain.tolist() == turned.tolist()
        assert (plain.tolist() == before) == (not index)
    state = optimizers[1].state_dict()["state"]
    assert all(entry["step"] == 3 for entry in state.values())


@pytest.mark.parametrize("wrong", [[1, 10**12], [1, -3], [3, 1], [3, 3]])
def test_rows_overwritten_by_hand_are_checked(wrong):
    table = table_with_gradient(tg)
    table.grad = table.grad.coalesce()
    table.grad._indices().numpy()[...] = wrong
    with pytest.raises(IndexError, match=f"step: row {wrong[1]} after row {wrong[0]}.*of 4 rows"):
        optim.SGD([table], lr=1.0).step()
    assert table.tolist() == [[1, 1]] * 4


def table_with_gradient(lib, sparse=True):
    table = lib.ones(4, 2).requires_grad_()
    lib.nn.functional.embedding(lib.tensor([1, 3, 1]), table, sparse=sparse).sum().backward()
    return table


@pytest.mark.parametrize(
    ("name", "options", "sparse"),
    [
        *[(name, {}, True) for name in (
            "Adam", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD", "RMSprop", "Adadelta", "Adafactor", "Muon",
        )],
        ("Adagrad", {"weight_decay": 0.1}, True),
        ("SGD", {"weight_decay": 0.1}, True),
        ("SparseAdam", {}, False),
    ],
)  # fmt: skip
def test_what_does_not_go_together(name, options, sparse):
    """Where PyTorch raises; beside the type, the message says what is wrong in its words, if it has any."""
    torch = pytest.importorskip("torch")

    def error(lib):
        table = table_with_gradient(lib, sparse)
        with pytest.raises(RuntimeError) as caught:
            getattr(lib.optim, name)([table], **options).step()
        assert table.tolist() == [[1, 1]] * 4
        return str(caught.value).split(", please")[0]

    ours, theirs = error(tg), error(torch)
    assert ours.startswith(theirs) or name == "SGD"
    assert "sparse" in ours or "dense" in ours


@pytest.mark.parametrize(
    "name", ["Lion", "Yogi", "AdaBelief", "Adan", "LARS", "LAMB", "Prodigy", "AdamW"]
)
def test_our_other_rules_refuse(name):
    table = table_with_gradient(tg)
    with pytest.raises(RuntimeError, match=f"{name} does not support sparse gradients.*SparseAdam"):
        getattr(optim, name)([table]).step()
    assert table.tolist() == [[1, 1]] * 4


@pytest.mark.parametrize(
    "options", [{"lr": 0.0}, {"eps": 0.0}, {"betas": (1.0, 0.9)}, {"lr": -1.0}]
)
def test_bad_options(options):
    torch = pytest.importorskip("torch")

    def error(lib):
        with pytest.raises(ValueError) as caught:
            lib.optim.SparseAdam([lib.ones(2).requires_grad_()], **options)
        return str(caught.value)

    assert error(tg) == error(torch)


@pytest.mark.parametrize("name", SPARSE)
def test_a_model_learns(name):
    """An embedding, looked up with duplicates, moves towards its targets; rows never seen stay."""
    targets = np.random.default_rng(2).normal(size=(20, 4))
    table = tg.nn.Embedding(20, 4, sparse=True, dtype=tg.float64)
    unseen = table.weight[10:].tolist()
    optimizer = getattr(optim, name)(table.parameters(), lr=0.5 if name == "Adagrad" else 0.1)
    rng = np.random.default_rng(3)
    for _ in range(400):
        index = tg.tensor(rng.integers(0, 10, 16))
        optimizer.zero_grad()
        ((table(index) - tg.tensor(targets)[index]) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(table.weight[:10].detach().numpy(), targets[:10], atol=0.05)
    assert table.weight[10:].tolist() == unseen


def test_lookahead_around_a_rule_that_takes_it():
    """Every second step the fast rows come half way back; rows without gradient stay."""
    table = tg.ones(4, 2, dtype=tg.float64).requires_grad_()
    lookahead = optim.Lookahead(optim.SGD([table], lr=1.0), k=2, alpha=0.5)
    for _ in range(2):
        look_up(tg, table, (np.array([1, 3, 1]), np.ones((3, 2))))
        lookahead.step()
    assert table.tolist() == [[1, 1], [-1, -1], [1, 1], [0, 0]]
