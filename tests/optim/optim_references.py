"""Update rules in float64 NumPy, straight from the papers' formulas; and mistakes people make.

A rule is called once a step with one parameter, its gradient, its own state dict (empty at first)
and the options, and returns the new parameter. Numbers that the state dict shows are rounded to
float32, the type in which they are kept there.
"""

import inspect

import numpy as np


def signed(g, p, weight_decay, maximize):
    """The gradient downhill, with coupled weight decay."""
    return (-g if maximize else g) + weight_decay * p


def sgd(
    p,
    g,
    state,
    *,
    lr,
    momentum=0.0,
    dampening=0.0,
    weight_decay=0.0,
    nesterov=False,
    maximize=False,
):
    """Sutskever et al. 2013, section 2, in the form where p is the point looked ahead to."""
    g = signed(g, p, weight_decay, maximize)
    if momentum:
        old = state.get("b", 0.0)
        b = momentum * old + (1 - dampening) * g if "b" in state else g
        state["b"] = b
        g = g + momentum * b if nesterov else b
    return p - lr * g


def asgd(p, g, state, *, lr, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0, maximize=False):
    """Bottou 2012, section 5: rates (20) and the average (19)."""
    g = signed(g, p, weight_decay, maximize)
    t, eta, mu, average = state.get("all", (0, np.float32(lr), 1.0, 0.0))
    t = t + 1
    p = (1 - lambd * np.float64(eta)) * p - np.float64(eta) * g
    average = average + np.float64(mu) * (p - average)
    eta = np.float32(lr / (1 + lambd * lr * t) ** alpha)
    mu = np.float32(1 / max(1, t - t0))
    state["all"] = t, eta, mu, average
    return p


def rprop(p, g, state, *, lr, etas=(0.5, 1.2), step_sizes=(1e-6, 50), maximize=False):
    """Riedmiller and Braun 1993, section II, without taking a step back."""
    g = signed(g, p, 0, maximize)
    old, size = state.get("all", (np.zeros_like(g), np.full_like(g, lr)))
    same, turned = np.sign(g) * np.sign(old) > 0, np.sign(g) * np.sign(old) < 0
    size = np.where(same, size * etas[1], np.where(turned, size * etas[0], size))
    size = np.clip(size, *step_sizes)
    g = np.where(turned, 0.0, g)
    state["all"] = g, size
    return p - np.sign(g) * size


def adagrad(
    p,
    g,
    state,
    *,
    lr,
    lr_decay=0.0,
    weight_decay=0.0,
    initial_accumulator_value=0.0,
    eps=1e-10,
    maximize=False,
):
    """Duchi, Hazan and Singer 2011, figure 1, diagonal."""
    g = signed(g, p, weight_decay, maximize)
    t, total = state.get("all", (0, initial_accumulator_value))
    t = t + 1
    total = total + g**2
    state["all"] = t, total
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)


def rmsprop(
    p,
    g,
    state,
    *,
    lr,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    centered=False,
    maximize=False,
):
    """Graves 2013, equations 38 to 45, with eps outside the root."""
    g = signed(g, p, weight_decay, maximize)
    v, m, b = state.get("all", (0.0, 0.0, 0.0))
    v = alpha * v + (1 - alpha) * g**2
    m = alpha * m + (1 - alpha) * g
    step = g / (np.sqrt(v - m**2 if centered else v) + eps)
    b = momentum * b + step
    state["all"] = v, m, b
    return p - lr * b


def adadelta(p, g, state, *, lr, rho=0.9, eps=1e-6, weight_decay=0.0, maximize=False):
    """Zeiler 2012, algorithm 1."""
    g = signed(g, p, weight_decay, maximize)
    v, u = state.get("all", (0.0, 0.0))
    v = rho * v + (1 - rho) * g**2
    step = np.sqrt(u + eps) / np.sqrt(v + eps) * g
    u = rho * u + (1 - rho) * step**2
    state["all"] = v, u
    return p - lr * step


def adam(
    p,
    g,
    state,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    amsgrad=False,
    maximize=False,
    decoupled_weight_decay=False,
):
    """Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2."""
    b1, b2 = betas
    g = signed(g, p, 0 if decoupled_weight_decay else weight_decay, maximize)
    p = p - lr * weight_decay * p if decoupled_weight_decay else p
    t, m, v, v_max = state.get("all", (0, 0.0, 0.0, 0.0))
    t = t + 1
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    v_max = np.maximum(v_max, v)
    state["all"] = t, m, v, v_max
    m_hat = m / (1 - b1**t)
    v_hat = (v_max if amsgrad else v) / (1 - b2**t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps)


def adamax(p, g, state, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
    """Kingma and Ba 2015, algorithm 2."""
    b1, b2 = betas
    g = signed(g, p, weight_decay, maximize)
    t, m, u = state.get("all", (0, 0.0, 0.0))
    t = t + 1
    m = b1 * m + (1 - b1) * g
    u = np.maximum(b2 * u, np.abs(g) + eps)
    state["all"] = t, m, u
    return p - lr / (1 - b1**t) * m / u


def nadam(
    p,
    g,
    state,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    momentum_decay=4e-3,
    decoupled_weight_decay=False,
    maximize=False,
):
    """Dozat 2016, algorithm 2 with the momentum schedule of its section on the schedule."""
    b1, b2 = betas
    g = signed(g, p, 0 if decoupled_weight_decay else weight_decay, maximize)
    p = p - lr * weight_decay * p if decoupled_weight_decay else p
    t, product, m, v = state.get("all", (0, np.float32(1), 0.0, 0.0))
    t = t + 1
    mu = b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    product = product * np.float32(mu)
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    state["all"] = t, product, m, v
    done = np.float64(product)
    m_hat = mu_next * m / (1 - done * mu_next) + (1 - mu) * g / (1 - done)
    v_hat = v / (1 - b2**t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps)


def radam(
    p,
    g,
    state,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled_weight_decay=False,
    maximize=False,
):
    """Liu et al. 2020, algorithm 2, rectified where rho > 5."""
    b1, b2 = betas
    g = signed(g, p, 0 if decoupled_weight_decay else weight_decay, maximize)
    p = p - lr * weight_decay * p if decoupled_weight_decay else p
    t, m, v = state.get("all", (0, 0.0, 0.0))
    t = t + 1
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    state["all"] = t, m, v
    m_hat = m / (1 - b1**t)
    most = 2 / (1 - b2) - 1
    rho = most - 2 * t * b2**t / (1 - b2**t)
    if rho <= 5:
        return p - lr * m_hat
    r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return p - lr * r * m_hat * np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)


def yogi(
    p,
    g,
    state,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-3,
    weight_decay=0.0,
    initial_accumulator_value=1e-6,
    decoupled_weight_decay=False,
    maximize=False,
):
    """Zaheer et al. 2018, algorithm 2, with the bias correction of Kingma and Ba 2015, section 2."""
    b1, b2 = betas
    g = signed(g, p, 0 if decoupled_weight_decay else weight_decay, maximize)
    p = p - lr * weight_decay * p if decoupled_weight_decay else p
    t, m, v = state.get("all", (0, 0.0, initial_accumulator_value))
    t = t + 1
    m = b1 * m + (1 - b1) * g
    v = v - (1 - b2) * np.sign(v - g**2) * g**2
    state["all"] = t, m, v
    return p - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)


def adabelief(
    p,
    g,
    state,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-16,
    weight_decay=0.0,
    amsgrad=False,
    decoupled_weight_decay=True,
    maximize=False,
):
    """Zhuang et al. 2020, algorithm 2."""
    b1, b2 = betas
    g = signed(g, p, 0 if decoupled_weight_decay else weight_decay, maximize)
    p = p - lr * weight_decay * p if decoupled_weight_decay else p
    t, m, s, s_max = state.get("all", (0, 0.0, 0.0, 0.0))
    t = t + 1
    m = b1 * m + (1 - b1) * g
    s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
    s_max = np.maximum(s_max, s)
    state["all"] = t, m, s, s_max
    s_hat = (s_max if amsgrad else s) / (1 - b2**t)
    return p - lr * m / (1 - b1**t) / (np.sqrt(s_hat) + eps)


def adan(
    p,
    g,
    state,
    *,
    lr,
    betas=(0.98, 0.92, 0.99),
    eps=1e-8,
    weight_decay=0.0,
    no_prox=False,
    maximize=False,
):
    """Xie et al. 2022, algorithm 1; its betas are 1 - betas here."""
    b1, b2, b3 = betas
    g = signed(g, p, 0, maximize)
    t, m, v, n, old = state.get("all", (0, 0.0, 0.0, 0.0, g))
    t = t + 1
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * (g - old)
    n = b3 * n + (1 - b3) * (g + b2 * (g - old)) ** 2
    state["all"] = t, m, v, n, g
    m_hat, v_hat, n_hat = m / (1 - b1**t), v / (1 - b2**t), n / (1 - b3**t)
    change = lr * (m_hat + b2 * v_hat) / (np.sqrt(n_hat) + eps)
    if no_prox:
        return (1 - lr * weight_decay) * p - change
    return (p - change) / (1 + lr * weight_decay)


def lion(p, g, state, *, lr, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
    """Chen et al. 2023, program 1."""
    b1, b2 = betas
    g = signed(g, p, 0, maximize)
    m = state.get("m", 0.0)
    p = p - lr * (np.sign(b1 * m + (1 - b1) * g) + weight_decay * p)
    state["m"] = b2 * m + (1 - b2) * g
    return p


def sgd_schedule_free(
    p,
    g,
    state,
    *,
    lr,
    momentum=0.9,
    weight_decay=0.0,
    warmup_steps=0,
    r=0.0,
    weight_lr_power=2.0,
    maximize=False,
):
    """Defazio et al. 2024, equations 5 to 7."""
    g = signed(g, p, weight_decay, maximize)
    t, x, z, most, total = state.get("all", (0, p, p, np.float32(0), np.float32(0)))
    t = t + 1
    rate = lr * min(1, t / warmup_steps) if warmup_steps else lr
    weight = t**r * max(rate, np.float64(most)) ** weight_lr_power
    whole = np.float64(total) + weight
    z = z - rate * g
    x = (1 - weight / whole) * x + weight / whole * z
    state["all"] = t, x, z, np.float32(max(rate, most)), np.float32(whole)
    return (1 - momentum) * z + momentum * x


def adamw_schedule_free(
    p,
    g,
    state,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    warmup_steps=0,
    r=0.0,
    weight_lr_power=2.0,
    maximize=False,
):
    """Defazio et al. 2024, algorithm 1."""
    b1, b2 = betas
    g = signed(g, p, 0, maximize)
    t, v, x, z, most, total = state.get("all", (0, 0.0, p, p, np.float32(0), np.float32(0)))
    t = t + 1
    v = b2 * v + (1 - b2) * g**2
    rate = lr * min(1, t / warmup_steps) if warmup_steps else lr
    weight = t**r * max(rate, np.float64(most)) ** weight_lr_power
    whole = np.float64(total) + weight
    z = z - rate * (g / (np.sqrt(v / (1 - b2**t)) + eps) + weight_decay * p)
    x = (1 - weight / whole) * x + weight / whole * z
    state["all"] = t, v, x, z, np.float32(max(rate, most)), np.float32(whole)
    return (1 - b1) * z + b1 * x


def lars(
    p,
    g,
    state,
    *,
    lr,
    momentum=0.9,
    trust_coefficient=1e-3,
    eps=1e-8,
    weight_decay=0.0,
    nesterov=False,
    adapt=True,
    maximize=False,
):
    """You, Gitman and Ginsburg 2017, algorithm 1; Nesterov as in SGD."""
    g = signed(g, p, 0, maximize)
    long, steep = np.linalg.norm(p), np.linalg.norm(g)
    rate = lr
    if adapt and long > 0 and steep > 0:
        rate = lr * trust_coefficient * long / (steep + weight_decay * long + eps)
    g = rate * (g + weight_decay * p)
    b = state["b"] = momentum * state.get("b", 0.0) + g
    return p - (g + momentum * b if nesterov else b)


def lamb(
    p,
    g,
    state,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-6,
    weight_decay=0.0,
    adapt=True,
    maximize=False,
):
    """You et al. 2020, algorithm 2."""
    b1, b2 = betas
    g = signed(g, p, 0, maximize)
    t, m, v = state.get("all", (0, 0.0, 0.0))
    t = t + 1
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    state["all"] = t, m, v
    d = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + weight_decay * p
    long, far = np.linalg.norm(p), np.linalg.norm(d)
    return p - (lr * long / far if adapt and long > 0 and far > 0 else lr) * d


def prodigy(
    params,
    gradients,
    states,
    whole,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled_weight_decay=True,
    use_bias_correction=False,
    safeguard_warmup=False,
    d0=1e-6,
    d_coef=1.0,
    maximize=False,
):
    """Mishchenko and Defazio 2023, algorithm 4, over all parameters with a gradient at once.

    r is kept per parameter, and the common factor 1 - √b2 of r and s is left out.
    """
    b1, b2 = betas
    d = whole.get("d", d0)
    moved, above, below = [], 0.0, 0.0
    for p, g, state in zip(params, gradients, states, strict=True):
        g = signed(g, p, 0 if decoupled_weight_decay else weight_decay, maximize)
        t, m, v, r, s, start = state.get("all", (0, 0.0, 0.0, np.float32(0), 0.0, p))
        t = t + 1
        m = b1 * m + (1 - b1) * d * g
        v = b2 * v + (1 - b2) * (d * g) ** 2
        size = d * lr
        if use_bias_correction:
            size = size * np.sqrt(1 - b2**t) / (1 - b1**t)
        r = np.sqrt(b2) * np.float64(r) + d / d0 * size * np.sum(g * (start - p))
        s = np.sqrt(b2) * s + d / d0 * (d if safeguard_warmup else size) * g
        decay = weight_decay * p if decoupled_weight_decay else 0
        moved.append(p - size * (m / (np.sqrt(v) + d * eps) + decay))
        state["all"] = t, m, v, np.float32(r), s, start
        above, below = above + r, below + np.sum(np.abs(s))
    whole["d"] = max(d, d_coef * above / below) if below else d
    return moved


def sparse_adam(p, g, state, *, lr, betas=(0.9, 0.999), eps=1e-8, maximize=False):
    """Kingma and Ba 2015, section 2's last variant, on the rows that g has: the others of g are NaN."""
    b1, b2 = betas
    t, m, v = state.get("all", (0, np.zeros_like(p), np.zeros_like(p)))
    t = t + 1
    rows = ~np.isnan(g)
    g = signed(g, p, 0, maximize)
    m = np.where(rows, b1 * m + (1 - b1) * g, m)
    v = np.where(rows, b2 * v + (1 - b2) * g**2, v)
    state["all"] = t, m, v
    return np.where(rows, p - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps), p)


def adafactor(
    p,
    g,
    state,
    *,
    lr,
    beta2_decay=-0.8,
    eps=(None, 1e-3),
    d=1.0,
    weight_decay=0.0,
    maximize=False,
    type_eps=2.0**-52,
):
    """Shazeer and Stern 2018, algorithms 4 (matrices) and 5 (vectors), with min(lr, 1 / √t)."""
    g = signed(g, p, 0, maximize)
    eps1 = type_eps if eps[0] is None else eps[0]
    t = state["t"] = state.get("t", 0) + 1
    b = t**beta2_decay
    size = max(eps[1], np.sqrt(np.mean(p**2))) * min(lr, 1 / np.sqrt(t))
    p = p - lr * weight_decay * p
    if p.ndim > 1:
        r = state["r"] = (1 - b) * state.get("r", 0.0) + b * np.mean(g**2, -1, keepdims=True)
        c = state["c"] = (1 - b) * state.get("c", 0.0) + b * np.mean(g**2, -2, keepdims=True)
        v = r * c / np.maximum(np.mean(r, -2, keepdims=True), eps1)
    else:
        v = state["v"] = (1 - b) * state.get("v", 0.0) + b * g**2
    u = g / np.sqrt(np.maximum(v, eps1**2))
    return p - size * u / max(1, np.sqrt(np.mean(u**2)) / d)


def muon(
    p,
    g,
    state,
    *,
    lr,
    weight_decay=0.1,
    momentum=0.95,
    nesterov=True,
    ns_coefficients=(3.4445, -4.7750, 2.0315),
    eps=1e-7,
    ns_steps=5,
    adjust_lr_fn=None,
):
    """Jordan et al. 2024: the odd polynomial acts on the singular values alone."""
    b = state["b"] = momentum * state.get("b", 0.0) + (1 - momentum) * g
    u = (1 - momentum) * g + momentum * b if nesterov else b
    left, s, right = np.linalg.svd(u, full_matrices=False)
    s = s / max(np.sqrt(np.sum(s**2)), eps)
    for _ in range(ns_steps):
        s = ns_coefficients[0] * s + ns_coefficients[1] * s**3 + ns_coefficients[2] * s**5
    rows, columns = p.shape
    factor = (
        0.2 * max(rows, columns) ** 0.5
        if adjust_lr_fn == "match_rms_adamw"
        else max(1, rows / columns) ** 0.5
    )
    return (1 - lr * weight_decay) * p - lr * factor * (left * s) @ right


REFERENCES = {
    rule.__name__: rule
    for rule in (
        sgd, asgd, rprop, adagrad, rmsprop, adadelta, adam, adamax, nadam, radam,
        yogi, adabelief, adan, lion, sgd_schedule_free, adamw_schedule_free,
        lars, lamb, prodigy, sparse_adam,
    )
}  # fmt: skip
PYTHON = {"adafactor": adafactor, "muon": muon}  # of what is no row of csrc/optim.def
JOINT = {"prodigy"}  # called once a step with lists, and a dict that is common to all parameters

# What is wrong -> (rule, what stands in the reference, what stands there instead, and so on).
MUTANTS = {
    "Nesterov looks ahead with the old buffer": ("sgd", "g + momentum * b", "g + momentum * old"),
    "Nesterov steps along the buffer alone": ("sgd", "g + momentum * b if nesterov else b", "b"),
    "the learning rate goes into the buffer": (
        "sgd",
        "if momentum:",
        "if momentum:\n        g = lr * g",
        "p - lr * g",
        "p - (g if momentum else lr * g)",
    ),
    "the first gradient is dampened": ("sgd", ' if "b" in state else g', ""),
    "momentum is an average": ("sgd", "(1 - dampening)", "(1 - momentum)"),
    "dampening is ignored": ("sgd", "(1 - dampening)", "1"),
    "SGD decays decoupled": (
        "sgd",
        "p, weight_decay, maximize",
        "p, 0, maximize",
        "return p",
        "return p - lr * weight_decay * p",
    ),
    "SGD does not decay": ("sgd", "p, weight_decay, maximize", "p, 0, maximize"),
    "the new rate is taken at once": (
        "asgd",
        "np.float64(eta) * g",
        "lr / (1 + lambd * lr * t) ** alpha * g",
    ),
    "the rate falls one step late": ("asgd", "lr * t)", "lr * (t - 1))"),
    "ASGD shrinks without the rate": ("asgd", "lambd * np.float64(eta)", "lambd"),
    "Rprop takes the step back's gradient": ("rprop", "np.where(turned, 0.0, g)", "g"),
    "Rprop moves by the old size": ("rprop", "- np.sign(g) * size", "- np.sign(g) * lr"),
    "Rprop has no bounds": ("rprop", "np.clip(size, *step_sizes)", "size"),
    "Rprop's factors exchanged": (
        "rprop",
        "etas[1]",
        "etas[0]",
        "turned, size * etas[0]",
        "turned, size * etas[1]",
    ),
    "Adagrad's epsilon inside the root": (
        "adagrad",
        "np.sqrt(total) + eps",
        "np.sqrt(total + eps)",
    ),
    "Adagrad's decay one step early": ("adagrad", "(t - 1) *", "t *"),
    "Adagrad forgets its start": ("adagrad", "(0, initial_accumulator_value)", "(0, 0.0)"),
    "Adagrad takes the mean": ("adagrad", "np.sqrt(total)", "np.sqrt(total / t)"),
    "RMSprop's epsilon inside the root": ("rmsprop", "v) + eps", "v + eps)"),
    "RMSprop is not centered": ("rmsprop", "v - m**2 if centered else v", "v"),
    "RMSprop centers with the gradient": ("rmsprop", "v - m**2", "np.abs(v - g**2)"),
    "RMSprop's momentum is an average": ("rmsprop", "+ step", "+ (1 - momentum) * step"),
    "RMSprop forgets the new square": ("rmsprop", "(1 - alpha) * g**2", "g**2"),
    "Adadelta's epsilon outside the root": (
        "adadelta",
        "np.sqrt(u + eps) / np.sqrt(v + eps)",
        "(np.sqrt(u) + eps) / (np.sqrt(v) + eps)",
    ),
    "Adadelta keeps the step times lr": (
        "adadelta",
        "(1 - rho) * step**2",
        "(1 - rho) * (lr * step) ** 2",
    ),
    "Adadelta takes the new mean of steps": (
        "adadelta",
        "step = np.sqrt(u + eps)",
        "step = np.sqrt(rho * u + eps)",
    ),
    "epsilon inside the root": ("adam", "np.sqrt(v_hat) + eps", "np.sqrt(v_hat + eps)"),
    "epsilon before bias correction": ("adam", "+ eps)", "+ eps / np.sqrt(1 - b2**t))"),
    "no bias correction": ("adam", "m / (1 - b1**t)", "m", " / (1 - b2**t)", ""),
    "bias correction one step late": ("adam", "**t)", "**(t + 1))"),
    "betas exchanged": ("adam", "b1, b2 = betas", "b2, b1 = betas"),
    "coupled for decoupled decay": (
        "adam",
        "0 if decoupled_weight_decay else weight_decay",
        "weight_decay",
        "p - lr * weight_decay * p if decoupled_weight_decay else p",
        "p",
    ),
    "decoupled for coupled decay": (
        "adam",
        "0 if decoupled_weight_decay else weight_decay",
        "0",
        "p - lr * weight_decay * p if decoupled_weight_decay else p",
        "p - lr * weight_decay * p",
    ),
    "decoupled decay without the learning rate": (
        "adam",
        "p - lr * weight_decay",
        "p - weight_decay",
    ),
    "maximize turns the decay as well": (
        "adam",
        "weight_decay, maximize)",
        "(-weight_decay if maximize else weight_decay), maximize)",
    ),
    "AMSGrad takes the largest corrected v": (
        "adam",
        "np.maximum(v_max, v)",
        "np.maximum(v_max, v / (1 - b2**t))",
        "(v_max if amsgrad else v) / (1 - b2**t)",
        "v_max if amsgrad else v / (1 - b2**t)",
    ),
    "Adamax adds epsilon to the maximum": ("adamax", "np.abs(g) + eps)", "np.abs(g)) + eps"),
    "Adamax corrects nothing": ("adamax", "lr / (1 - b1**t)", "lr"),
    "Adamax does not let the maximum fade": ("adamax", "b2 * u", "u"),
    "NAdam corrects as Adam": ("nadam", "(1 - done * mu_next)", "(1 - b1**t)"),
    "NAdam does not look ahead": (
        "nadam",
        "mu_next * m / (1 - done * mu_next)",
        "mu * m / (1 - done)",
    ),
    "NAdam's momentum stays": ("nadam", "(t * momentum_decay)", "momentum_decay"),
    "NAdam decays coupled": (
        "nadam",
        "0 if decoupled_weight_decay else weight_decay",
        "weight_decay",
        "p - lr * weight_decay * p if decoupled_weight_decay else p",
        "p",
    ),
    "RAdam rectifies from 4 on": ("radam", "rho <= 5", "rho <= 4"),
    "RAdam does not rectify": ("radam", "lr * r * m_hat", "lr * m_hat"),
    "RAdam's epsilon after bias correction": ("radam", "+ eps)", "+ eps * np.sqrt(1 - b2**t))"),
    "RAdam takes Adam's step at first": (
        "radam",
        "return p - lr * m_hat\n",
        "return p - lr * m_hat / (np.sqrt(v / (1 - b2**t)) + eps)\n",
    ),
    "Yogi forgets as Adam": (
        "yogi",
        "v - (1 - b2) * np.sign(v - g**2) * g**2",
        "b2 * v + (1 - b2) * g**2",
    ),
    "Yogi starts at zero": ("yogi", "0.0, initial_accumulator_value)", "0.0, 0.0)"),
    "Yogi corrects inside epsilon": ("yogi", "+ eps)", "+ eps * np.sqrt(1 - b2**t))"),
    "AdaBelief believes the square": ("adabelief", "(g - m) ** 2", "g**2"),
    "AdaBelief adds no epsilon to the mean": ("adabelief", "2 + eps", "2"),
    "AdaBelief measures from the old mean": ("adabelief", "(g - m) ** 2", "((g - m) / b1) ** 2"),
    "AdaBelief decays coupled": (
        "adabelief",
        "0 if decoupled_weight_decay else weight_decay",
        "weight_decay",
        "p - lr * weight_decay * p if decoupled_weight_decay else p",
        "p",
    ),
    "Adan starts from zero": ("adan", "0.0, g))", "0.0, 0.0))"),
    "Adan steps along m alone": ("adan", "m_hat + b2 * v_hat", "m_hat"),
    "Adan squares the gradient alone": ("adan", "(g + b2 * (g - old)) ** 2", "g**2"),
    "Adan's betas are the paper's": (
        "adan",
        "b1, b2, b3 = betas",
        "b1, b2, b3 = (1 - b for b in betas)",
    ),
    "Adan shrinks before the step": (
        "adan",
        "(p - change) / (1 + lr * weight_decay)",
        "p / (1 + lr * weight_decay) - change",
    ),
    "Lion steps along the new momentum": (
        "lion",
        "(b1 * m + (1 - b1) * g)",
        "(b2 * m + (1 - b2) * g)",
    ),
    "Lion keeps what it steps along": (
        "lion",
        "b2 * m + (1 - b2) * g\n",
        "b1 * m + (1 - b1) * g\n",
    ),
    "Lion decays without the learning rate": (
        "lion",
        "+ weight_decay * p)",
        "+ weight_decay / lr * p)",
    ),
    "Schedule-Free averages before the step": (
        "sgd_schedule_free",
        "whole * z",
        "whole * (z + rate * g)",
    ),
    "Schedule-Free weighs all alike": ("sgd_schedule_free", "weight = t**r *", "weight = 1 + 0 *"),
    "Schedule-Free mixes the other way": (
        "sgd_schedule_free",
        "(1 - momentum) * z + momentum * x",
        "momentum * z + (1 - momentum) * x",
    ),
    "Schedule-Free warms up one step early": (
        "sgd_schedule_free",
        "t / warmup_steps",
        "(t + 1) / warmup_steps",
    ),
    "Schedule-Free AdamW decays at z": (
        "adamw_schedule_free",
        "weight_decay * p",
        "weight_decay * z",
    ),
    "Schedule-Free AdamW corrects nothing": ("adamw_schedule_free", "v / (1 - b2**t)", "v"),
    "LARS measures without the decay": ("lars", "steep + weight_decay * long", "steep"),
    "LARS's rate outside the momentum": (
        "lars",
        "g = rate * (g + weight_decay * p)",
        "g = g + weight_decay * p",
        "p - (",
        "p - rate * (",
    ),
    "LARS does not trust": ("lars", "trust_coefficient * long", "long"),
    "LARS adapts always": ("lars", "adapt and long", "long"),
    "LAMB measures without the decay": (
        "lamb",
        "np.linalg.norm(d)",
        "np.linalg.norm(d - weight_decay * p)",
    ),
    "LAMB corrects nothing": ("lamb", "m / (1 - b1**t)", "m"),
    "LAMB's ratio upside down": ("lamb", "long / far", "far / long"),
    "LAMB adapts always": ("lamb", "adapt and long", "long"),
    "Prodigy weighs all gradients alike": ("prodigy", "d / d0 * size", "size"),
    "Prodigy lets the estimate fall": ("prodigy", "max(d, d_coef", "max(d0, d_coef"),
    "Prodigy measures from zero": ("prodigy", "g * (start - p)", "g * -p"),
    "Prodigy's r fades as v": ("prodigy", "r = np.sqrt(b2)", "r = b2"),
    "Prodigy's s fades as v": ("prodigy", "s = np.sqrt(b2)", "s = b2"),
    "Prodigy squares d once": ("prodigy", "(d * g) ** 2", "d * g**2"),
    "Prodigy's epsilon without d": ("prodigy", "+ d * eps", "+ eps"),
    "Prodigy always corrects": ("prodigy", "if use_bias_correction:", "if True:"),
    "Prodigy does not guard the warm-up": ("prodigy", "d if safeguard_warmup else size", "size"),
    "Prodigy decays without d": (
        "prodigy",
        "decay = weight_decay * p",
        "decay = weight_decay * p / d",
    ),
    "Prodigy decays decoupled always": (
        "prodigy",
        "0 if decoupled_weight_decay else weight_decay",
        "0",
        "weight_decay * p if decoupled_weight_decay else 0",
        "weight_decay * p",
    ),
    "Prodigy takes the Euclidean norm": (
        "prodigy",
        "np.sum(np.abs(s))",
        "np.sqrt(np.sum(s**2))",
    ),
    "Prodigy estimates each tensor by itself": (
        "prodigy",
        "above, below = above + r, below + np.sum(np.abs(s))",
        "above, below = r, np.sum(np.abs(s))",
    ),
    "Adafactor does not clip its steps": (
        "adafactor",
        "size * u / max(1, np.sqrt(np.mean(u**2)) / d)",
        "size * u",
    ),
    "Adafactor does not scale by the parameter": (
        "adafactor",
        "max(eps[1], np.sqrt(np.mean(p**2))) * min",
        "min",
    ),
    "Adafactor's step does not fall": ("adafactor", "min(lr, 1 / np.sqrt(t))", "lr"),
    "Adafactor's means fade at a fixed rate": ("adafactor", "b = t**beta2_decay", "b = 0.5"),
    "Adafactor's factors without their mean": (
        "adafactor",
        "r * c / np.maximum(np.mean(r, -2, keepdims=True), eps1)",
        "r * c",
    ),
    "Adafactor adds up its rows": (
        "adafactor",
        "np.mean(g**2, -1, keepdims=True)",
        "np.sum(g**2, -1, keepdims=True)",
        "np.mean(r, -2, keepdims=True)",
        "np.mean(c, -1, keepdims=True)",
    ),
    "Adafactor measures after the decay": (
        "adafactor",
        "    size = ",
        "    p = p - lr * weight_decay * p\n    size = ",
        "    p = p - lr * weight_decay * p\n    if p.ndim",
        "    if p.ndim",
    ),
    "Adafactor's floor under the root is not squared": ("adafactor", "eps1**2", "eps1"),
    "Muon steps along the buffer alone": (
        "muon",
        "(1 - momentum) * g + momentum * b if nesterov else b",
        "b",
    ),
    "Muon's momentum is a sum": ("muon", "+ (1 - momentum) * g\n", "+ g\n"),
    "Muon takes the spectral norm": ("muon", "np.sqrt(np.sum(s**2))", "s.max()"),
    "Muon orthogonalises exactly": ("muon", "(left * s)", "left"),
    "Muon makes one step less": ("muon", "range(ns_steps)", "range(ns_steps - 1)"),
    "Muon exchanges rows and columns": ("muon", "rows / columns", "columns / rows"),
    "Muon decays without the learning rate": (
        "muon",
        "(1 - lr * weight_decay)",
        "(1 - weight_decay)",
    ),
    "Muon decays coupled": (
        "muon",
        "    b = state",
        "    g = g + weight_decay * p\n    b = state",
        "(1 - lr * weight_decay) * p",
        "p",
    ),
    "SparseAdam moves rows without gradient": (
        "sparse_adam",
        "rows = ~np.isnan(g)",
        "rows, g = np.ones(g.shape, bool), np.nan_to_num(g)",
    ),
    "SparseAdam's epsilon as in Adam": ("sparse_adam", "+ eps)", "+ eps * np.sqrt(1 - b2**t))"),
    "SparseAdam counts each row's steps": (
        "sparse_adam",
        "t = t + 1\n    rows = ~np.isnan(g)",
        "rows = ~np.isnan(g)\n    t = np.maximum(t + rows, 1)",
    ),
    "SparseAdam corrects nothing": (
        "sparse_adam",
        "lr * np.sqrt(1 - b2**t) / (1 - b1**t)",
        "lr",
    ),
}


def mutant(rule, *changes):
    """The reference with these texts exchanged."""
    source = inspect.getsource((REFERENCES | PYTHON)[rule])
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in source, f"{rule} has no {old!r}"
        source = source.replace(old, new)
    names = {"np": np, "signed": signed}
    exec(source, names)
    return names[rule]
