"""Random numbers: the stream against Philox as published, the distributions against theirs, PyTorch's forms and errors."""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

import tinygrad_lessons as tg

pytestmark = pytest.mark.kernel

# With fixed seeds a test fails or not for good; a right generator fails one in a thousand of these.
P_VALUE = 1e-3
N = 200_000
SEEDS = [0, 1, 2**63 + 12345]


def seeded(seed):
    return tg.Generator().manual_seed(seed)


# ---- the stream ----


def philox(counter, key):
    """Philox 4×32-10 as Salmon et al. 2011 write it, on Python's integers."""
    c, (k0, k1), mask = list(counter), key, 2**32 - 1
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k0, b & mask, (a >> 32) ^ c[3] ^ k1, a & mask]
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c


@pytest.mark.parametrize(
    "counter, key, words",
    [  # kat_vectors of the Random123 distribution
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([2**32 - 1] * 4, [2**32 - 1] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_reference_gives_the_published_vectors(counter, key, words):
    assert philox(counter, key) == words


def words_of(seed, first_block, count):
    key = [seed % 2**32, seed >> 32]
    blocks = (philox([b % 2**32, b >> 32, 0, 0], key) for b in itertools.count(first_block))
    return list(itertools.islice(itertools.chain.from_iterable(blocks), count))


def doubles_of(words):
    return [low | high << 32 for low, high in zip(words[::2], words[1::2], strict=True)]


@pytest.mark.parametrize("seed", SEEDS)
def test_draws_are_the_words_of_the_stream(seed):
    generator = seeded(seed)
    # 37 words reach into the tenth block, so the next draw starts at block 10
    assert tg.rand(37, generator=generator).tolist() == [
        (w >> 8) * 2.0**-24 for w in words_of(seed, 0, 37)
    ]
    assert tg.rand(5, generator=generator, dtype=tg.float64).tolist() == [
        (w >> 11) * 2.0**-53 for w in doubles_of(words_of(seed, 10, 10))
    ]
    words = doubles_of(words_of(seed, 13, 40))
    for low, high in [(0, 10), (-7, 2**33)]:
        draws = tg.randint(low, high, (20,), generator=generator).tolist()
        assert draws == [low + (w * (high - low) >> 64) for w in words]
        words = doubles_of(words_of(seed, 23, 40))
    words = words_of(seed, 33, 9)
    assert tg.empty(9).bernoulli_(0.3, generator=generator).tolist() == [
        w < round(0.3 * 2**32) for w in words
    ]
    keys = doubles_of(words_of(seed, 36, 1200))
    order = tg.randperm(600, generator=generator).tolist()
    assert order == sorted(range(600), key=lambda i: keys[i])


def test_state_goes_on_where_it_was_taken():
    generator = seeded(3)
    tg.rand(10, generator=generator)
    state = generator.get_state()
    one = tg.randn(9, generator=generator).tolist()
    assert tg.randn(9, generator=generator.set_state(state)).tolist() == one


DRAWS = """
import numpy as np, tinygrad_lessons as tg
tg.manual_seed(5)
n = 300_001
draws = [tg.rand(n), tg.rand(n, dtype=tg.float64), tg.empty(n).uniform_(-3, 0.7), tg.randint(0, 10, (n,)),
         tg.randint(-5, 2**40, (n,)), tg.randperm(n), tg.empty(n).bernoulli_(0.4), tg.rand(n).bernoulli()]
dropped = tg.nn.functional.dropout(tg.ones(n), 0.3)
if normals:
    draws += [tg.randn(n), tg.empty(n, dtype=tg.float64).exponential_()]
import hashlib
print([hashlib.sha256(x.numpy().tobytes()).hexdigest() for x in [*draws, dropped]])
"""


def digests(normals, **environment):
    run = subprocess.run(
        [sys.executable, "-c", f"normals = {normals}\n{DRAWS}"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_same_bits_on_any_number_of_threads():
    assert digests(True, TGL_NUM_THREADS="1") == digests(True, TGL_NUM_THREADS="3")


def test_same_bits_on_any_instruction_set():
    assert digests(False) == digests(False, TGL_ISA="baseline")


# ---- the distributions ----

DISTRIBUTIONS = {
    "rand": (lambda n, g, d: tg.rand(n, generator=g, dtype=d), stats.uniform()),
    "uniform_": (
        lambda n, g, d: tg.empty(n, dtype=d).uniform_(-2, 5, generator=g),
        stats.uniform(-2, 7),
    ),
    "randn": (lambda n, g, d: tg.randn(n, generator=g, dtype=d), stats.norm()),
    "normal": (lambda n, g, d: tg.normal(3, 0.5, (n,), generator=g, dtype=d), stats.norm(3, 0.5)),
    "exponential_": (
        lambda n, g, d: tg.empty(n, dtype=d).exponential_(2.5, generator=g),
        stats.expon(scale=1 / 2.5),
    ),
    "log_normal_": (
        lambda n, g, d: tg.empty(n, dtype=d).log_normal_(0.5, 0.7, generator=g),
        stats.lognorm(0.7, scale=math.exp(0.5)),
    ),
    "cauchy_": (
        lambda n, g, d: tg.empty(n, dtype=d).cauchy_(1, 2, generator=g),
        stats.cauchy(1, 2),
    ),
}


def kolmogorov_smirnov(draws, distribution):
    return stats.kstest(draws, distribution.cdf, method="asymp").pvalue


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=str)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distribution(name, dtype, seed):
    draw, distribution = DISTRIBUTIONS[name]
    x = draw(N, seeded(seed), dtype).numpy().astype(np.float64)
    assert kolmogorov_smirnov(x, distribution) > P_VALUE
    u = distribution.cdf(x) - 0.5
    for lag in (1, 2, 3, 4, 8, 16):  # of independent draws it is normal, of deviation 1 / √n
        assert abs(np.mean(u[lag:] * u[:-lag]) * 12) < 4 / math.sqrt(N - lag), lag


def test_kolmogorov_smirnov_rejects_what_is_a_little_wrong():
    x = tg.randn(N, generator=seeded(0), dtype=tg.float64).numpy()
    assert kolmogorov_smirnov(1.02 * x, stats.norm()) < P_VALUE
    assert kolmogorov_smirnov(x + 0.02, stats.norm()) < P_VALUE


def chi_square(counts, expected):
    return stats.chisquare(counts, expected).pvalue


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("low, high", [(0, 2), (0, 10), (-3, 1000), (0, 2**40)])
def test_integers_are_even(low, high, seed):
    x = tg.randint(low, high, (N,), generator=seeded(seed)).numpy()
    assert x.min() >= low and x.max() < high
    bins = min(high - low, 64)
    counts = np.bincount((x - low) * bins // (high - low), minlength=bins)
    sizes = np.diff([-(-k * (high - low) // bins) for k in range(bins + 1)])
    assert chi_square(counts, N * sizes / (high - low)) > P_VALUE


@pytest.mark.parametrize("seed", SEEDS)
def test_bits_are_even_and_streams_apart(seed):
    """Each bit of the words is set half of the time, and streams of other seeds and offsets agree in half of the bits."""

    def bits(seed, skip=0):
        generator = seeded(seed)
        if skip:
            tg.rand(skip, generator=generator)
        x = tg.empty(N // 64, dtype=tg.int64)
        x.random_(-(2**63), 2**63, generator=generator)
        return np.unpackbits(x.numpy().view(np.uint8))

    one = bits(seed)
    shares = one.reshape(-1, 64).mean(0)
    assert np.all(np.abs(shares - 0.5) < 5 * 0.5 / math.sqrt(len(shares) and len(one) // 64))
    for other in (bits(seed + 1), bits(seed ^ 2**32), bits(seed, skip=4)):
        assert abs(np.mean(one == other) - 0.5) < 4 * 0.5 / math.sqrt(len(one))
    shifted = bits(seed, skip=4)  # one block on: the same stream, two numbers later
    assert np.array_equal(one[128:], shifted[:-128])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.97])
def test_bernoulli_and_geometric(p):
    n = N
    for x in (
        tg.empty(n).bernoulli_(p, generator=seeded(1)),
        tg.bernoulli(tg.full((n,), p), generator=seeded(2)),
        tg.zeros(n, dtype=tg.int32).bernoulli_(p, generator=seeded(3)),
    ):
        ones = int(x.sum())
        assert set(x.tolist()) == {0, 1}
        assert stats.binomtest(ones, n, p).pvalue > P_VALUE
    for dtype in (tg.float32, tg.int64):
        k = tg.empty(n, dtype=dtype).geometric_(p, generator=seeded(4)).numpy().astype(int)
        assert k.min() == 1
        most = 1 + int(math.log(50 / n) / math.log1p(-p))
        counts = np.bincount(np.minimum(k, most), minlength=most + 1)[1:]
        shares = stats.geom(p).pmf(np.arange(1, most + 1))
        shares[-1] = stats.geom(p).sf(most - 1)
        assert chi_square(counts, n * shares) > P_VALUE


@pytest.mark.parametrize("seed", SEEDS)
def test_every_order_is_as_likely(seed):
    generator = seeded(seed)
    orders = [tuple(tg.randperm(4, generator=generator).tolist()) for _ in range(12_000)]
    counts = [orders.count(order) for order in itertools.permutations(range(4))]
    assert sum(counts) == len(orders)
    assert chi_square(counts, [500] * 24) > P_VALUE


@pytest.mark.parametrize("n", [0, 1, 2, 31, 32, 33, 255, 1000, 70_000])
def test_randperm_is_a_permutation(n):
    order = tg.randperm(n, generator=seeded(n))
    assert order.dtype == tg.int64
    assert sorted(order.tolist()) == list(range(n))


WEIGHTS = [0.0, 1.0, 2.5, 0.0, 0.25, 4.0]


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=str)
def test_multinomial_with_replacement(dtype):
    p = np.array([WEIGHTS, WEIGHTS[::-1]])
    x = tg.multinomial(tg.tensor(p, dtype=dtype), N, replacement=True, generator=seeded(1))
    assert x.shape == (2, N) and x.dtype == tg.int64
    for row, weights in zip(x.numpy(), p, strict=True):
        counts, held = np.bincount(row, minlength=6), weights > 0
        assert counts[~held].sum() == 0
        assert chi_square(counts[held], N * weights[held] / weights.sum()) > P_VALUE


def test_multinomial_without_replacement():
    """The first and the second draw, against drawing one after the other from what is left."""
    w = np.array(WEIGHTS) / sum(WEIGHTS)
    x = tg.multinomial(tg.tensor([WEIGHTS] * 20_000), 2, generator=seeded(2)).numpy()
    pairs = {(a, b): w[a] * w[b] / (1 - w[a]) for a in range(6) for b in range(6) if a != b}
    pairs = {pair: share for pair, share in pairs.items() if share}
    counts = [np.sum((x == pair).all(1)) for pair in pairs]
    assert sum(counts) == len(x)
    assert chi_square(counts, len(x) * np.array(list(pairs.values()))) > P_VALUE
    every = tg.tensor(WEIGHTS).multinomial(4, generator=seeded(3))
    assert sorted(every.tolist()) == [1, 2, 4, 5]


# ---- PyTorch's forms ----


def test_forms():
    x = tg.ones(2, 3, dtype=tg.float64)
    assert tg.rand_like(x).dtype == tg.randn_like(x).dtype == tg.float64
    assert tg.randint_like(x, 5).shape == tg.randint_like(x, 2, 5).shape == (2, 3)
    assert set(tg.randint_like(tg.ones(500), 7, 9).tolist()) == {7.0, 8.0}
    assert tg.randint(4, (2,), dtype=tg.float32).dtype == tg.float32
    assert tg.randn(2, requires_grad=True).requires_grad
    assert tg.normal(tg.tensor([0.0, 100.0]), 1e-3).round().tolist() == pytest.approx([0, 100])
    assert tg.normal(7.0, tg.zeros(2)).tolist() == [7.0, 7.0]
    assert tg.zeros(300, dtype=tg.uint8).random_().max() > 200
    assert tg.zeros(300, dtype=tg.bool).random_().any()
    assert tg.zeros(300).random_().max() > 2**23
    assert tg.zeros(3, dtype=tg.int64).random_(5, None).min() > 2**40
    assert set(tg.zeros(100).random_(2).tolist()) == {0.0, 1.0}
    p = tg.tensor([[0.0], [1.0]])
    assert tg.empty(2, 2).bernoulli_(p).tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert tg.bernoulli(tg.zeros(3), 1.0).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "draw",
    [
        lambda **g: tg.rand(40, **g),
        lambda **g: tg.randn(40, **g),
        lambda **g: tg.rand_like(tg.ones(40), **g),
        lambda **g: tg.randn_like(tg.ones(40), **g),
        lambda **g: tg.randint_like(tg.ones(40), 1000, **g),
        lambda **g: tg.randint(1000, (40,), **g),
        lambda **g: tg.randperm(40, **g),
        lambda **g: tg.bernoulli(tg.full((40,), 0.5), **g),
        lambda **g: tg.normal(tg.zeros(40), 1.0, **g),
        lambda **g: tg.normal(0.0, 1.0, (40,), **g),
        lambda **g: tg.multinomial(tg.ones(40), 40, **g),
        lambda **g: tg.multinomial(tg.ones(40), 40, replacement=True, **g),
        lambda **g: tg.empty(40).random_(9999, **g),
        lambda **g: tg.empty(40).geometric_(0.01, **g),
        *(
            lambda name=name, **g: getattr(tg.empty(40), name)(**g)
            for name in [
                "uniform_",
                "normal_",
                "exponential_",
                "cauchy_",
                "log_normal_",
                "bernoulli_",
            ]
        ),
    ],
)
def test_generator(draw):
    one, state = draw(generator=seeded(1)), tg.get_rng_state().tolist()
    assert draw(generator=seeded(1)).tolist() == one.tolist() != draw(generator=seeded(2)).tolist()
    assert tg.get_rng_state().tolist() == state
    tg.manual_seed(1)
    assert draw().tolist() == one.tolist()
    with pytest.raises(TypeError, match="expected a Generator, not int"):
        draw(generator=1)


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=str)
@pytest.mark.parametrize("rate", [1e-310, 1e-60, 1e-42, 1e-39, 3e-38, 1e39, 1e42])
def test_exponential_rates_beyond_the_normal_numbers(dtype, rate):
    """The quotient by the rate itself, however small or large; the largest number where that overflows."""
    one = tg.empty(1000, dtype=dtype).exponential_(generator=seeded(3)).numpy()
    draws = tg.empty(1000, dtype=dtype).exponential_(rate, generator=seeded(3)).numpy()
    info = np.finfo(one.dtype)
    with np.errstate(over="ignore"):
        expected = np.minimum(one.astype(np.float64) / rate, float(info.max))
    np.testing.assert_allclose(draws, expected, 2 * float(info.eps), float(info.smallest_subnormal))
    assert (draws > 0).all()


def test_geometric_of_rare_successes():
    assert (tg.empty(5).geometric_(1e-45) == np.finfo(np.float32).max).all()


def test_in_place_on_what_is_not_contiguous():
    base = tg.zeros(3, 4)
    base.t()[1:3].uniform_(1, 2, generator=seeded(0))
    assert (base[:, 1:3] >= 1).all() and (base[:, [0, 3]] == 0).all()
    x = tg.ones(3, requires_grad=True)
    y = x * 2
    assert (y.normal_() + x).sum().backward() is None
    assert x.grad.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(RuntimeError, match="leaf"):
        x.exponential_()


@pytest.mark.parametrize(
    "error, message, call",
    [
        (RuntimeError, "from <= to", lambda: tg.empty(2).uniform_(2, 1)),
        (RuntimeError, "std >= 0", lambda: tg.empty(2).normal_(0, -1)),
        (RuntimeError, "std >= 0", lambda: tg.normal(tg.zeros(2), -1.0 * tg.ones(2))),
        (TypeError, "size", lambda: tg.normal(0.0, 1.0)),
        (TypeError, "size", lambda: tg.normal(tg.zeros(2), 1.0, (2,))),
        (RuntimeError, "lambd > 0", lambda: tg.empty(2).exponential_(0)),
        (RuntimeError, "std > 0", lambda: tg.empty(2).log_normal_(0, 0)),
        (RuntimeError, "sigma > 0", lambda: tg.empty(2).cauchy_(0, 0)),
        (RuntimeError, "between 0 and 1", lambda: tg.empty(2).geometric_(1)),
        (RuntimeError, "between 0 and 1", lambda: tg.empty(2).bernoulli_(1.5)),
        (RuntimeError, "between 0 and 1", lambda: tg.bernoulli(tg.tensor([0.5, float("nan")]))),
        (RuntimeError, "bernoulli", lambda: tg.bernoulli(tg.ones(2, dtype=tg.int64))),
        (RuntimeError, "uniform_", lambda: tg.zeros(2, dtype=tg.int64).uniform_()),
        (RuntimeError, "low=3 and high=3", lambda: tg.randint(3, 3, (2,))),
        (RuntimeError, "uint8 holds", lambda: tg.randint(0, 257, (2,), dtype=tg.uint8)),
        (RuntimeError, "int32 holds", lambda: tg.zeros(2, dtype=tg.int32).random_(2**31 + 1)),
        (RuntimeError, "float32 holds", lambda: tg.zeros(2).random_(2**25)),
        (TypeError, "at most", lambda: tg.zeros(2).random_(1, 2, 3)),
        (RuntimeError, "randperm: n", lambda: tg.randperm(-1)),
        (RuntimeError, "does not hold", lambda: tg.randperm(300, dtype=tg.uint8)),
        (RuntimeError, r"\(n,\) or \(m, n\)", lambda: tg.multinomial(tg.ones(2, 2, 2), 1)),
        (RuntimeError, "n_sample <= 0", lambda: tg.multinomial(tg.ones(2), 0)),
        (RuntimeError, "`inf`, `nan`", lambda: tg.multinomial(tg.tensor([1.0, -1.0]), 1)),
        (RuntimeError, "`inf`, `nan`", lambda: tg.multinomial(tg.tensor([1.0, float("nan")]), 1)),
        (RuntimeError, "at least 1 positive", lambda: tg.multinomial(tg.zeros(2), 1, True)),
        (RuntimeError, "at least 2 positive", lambda: tg.multinomial(tg.tensor([0.0, 1.0]), 2)),
        (RuntimeError, "multinomial", lambda: tg.multinomial(tg.ones(2, dtype=tg.int64), 1)),
    ],
)
def test_errors(error, message, call):
    state = tg.get_rng_state().tolist()
    with pytest.raises(error, match=message):
        call()
    assert tg.get_rng_state().tolist() == state


# ---- dropout ----


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=str)
def test_dropout_is_linear_in_every_order(dtype):
    generator = np.random.default_rng(0)
    x, g = (tg.tensor(generator.normal(size=(5, 7)), dtype=dtype) for _ in range(2))
    x.requires_grad_()
    g.requires_grad_()
    y = tg._core.dropout(x, 0.4, generator=seeded(1))
    factor = tg._core.dropout(tg.ones(5, 7, dtype=dtype), 0.4, generator=seeded(1))
    np.testing.assert_allclose(y.detach().numpy(), (x * factor).detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(np.unique(factor.numpy()), [0, 1 / 0.6], rtol=1e-6)
    (gx,) = tg.autograd.grad(y, x, g, create_graph=True)
    np.testing.assert_allclose(gx.detach().numpy(), (g * factor).detach().numpy(), rtol=1e-6)
    (gg,) = tg.autograd.grad(gx, g, x.detach().t().reshape(5, 7))
    np.testing.assert_allclose(
        gg.numpy(), (x.detach().t().reshape(5, 7) * factor).numpy(), rtol=1e-6
    )
    assert tg.autograd.gradgradcheck(
        lambda x: tg._core.dropout(x, 0.4, generator=seeded(1)),
        tg.tensor(generator.normal(size=6), dtype=tg.float64, requires_grad=True),
    )


def test_dropout_draws_a_word_an_element():
    y = tg._core.dropout(tg.ones(1001), 0.25, generator=seeded(9))
    keep = [w < round(0.75 * 2**32) for w in words_of(9, 0, 1001)]
    np.testing.assert_allclose(y.numpy(), np.array(keep) / 0.75, rtol=1e-7)


@pytest.mark.parametrize("bounds", [(-3e38, 3e38), (0.0, float("inf")), (1e39, 2e39)])
def test_uniform_refuses_what_the_type_cannot_hold(bounds):
    with pytest.raises(RuntimeError, match="uniform_: expected bounds"):
        tg.empty(3).uniform_(*bounds)
    if bounds[1] < float("inf"):
        assert tg.empty(3, dtype=tg.float64).uniform_(*bounds).isfinite().all()


@pytest.mark.parametrize(
    "weights", [[1e308, 1e308, 0.0], [5e-324, 0.0], [0.0, 5e-324, 1e-323, 0.0]]
)
def test_multinomial_of_extreme_weights(weights):
    drawn = tg.multinomial(tg.tensor(weights, dtype=tg.float64), 1000, replacement=True)
    assert set(drawn.tolist()) == {i for i, weight in enumerate(weights) if weight}
