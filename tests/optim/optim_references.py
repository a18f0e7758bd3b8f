"""Update rules in float64 NumPy, straight from the papers' formulas; and mistakes people make.

A rule is called once a step with one parameter, its gradient, its own state dict (empty at first)
and the options, and returns the new parameter.
"""

import numpy as np


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
    g = -g if maximize else g
    g = g + weight_decay * p
    if momentum:
        b = momentum * state["b"] + (1 - dampening) * g if "b" in state else g
        state["b"] = b
        g = g + momentum * b if nesterov else b
    return p - lr * g


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
    g = -g if maximize else g
    if decoupled_weight_decay:
        p = p - lr * weight_decay * p
    else:
        g = g + weight_decay * p
    t, m, v, v_max = state.get("all", (0, 0.0, 0.0, 0.0))
    t = t + 1
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g**2
    v_max = np.maximum(v_max, v)
    state["all"] = t, m, v, v_max
    m_hat = m / (1 - betas[0] ** t)
    v_hat = (v_max if amsgrad else v) / (1 - betas[1] ** t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps)


REFERENCES = {"sgd": sgd, "adam": adam}


def _sgd_variant(*, first="g", decay="coupled", gain=None, look_ahead="new", lr_in="step"):
    def rule(
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
        g = -g if maximize else g
        if decay == "coupled":
            g = g + weight_decay * p
        elif decay == "decoupled":
            p = p - lr * weight_decay * p
        if not momentum:
            return p - lr * g
        new = (1 - dampening) * g if gain is None else gain(momentum) * g
        new = lr * new if lr_in == "momentum" else new
        old = state.get("b", 0.0)
        started = "b" in state or first == "dampened"
        undampened = lr * g if lr_in == "momentum" else g
        b = state["b"] = momentum * old + new if started else undampened
        if lr_in == "momentum":
            return p - (lr * g + momentum * b if nesterov else b)
        if nesterov:
            b = {"new": g + momentum * b, "old": g + momentum * old, "buffer": b}[look_ahead]
        return p - lr * b

    return rule


def _adam_variant(
    *, eps_at="outside", bias=True, shift=0, swap=False, decay=None, late=False, hat_first=False
):
    def rule(
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
        if late and not decoupled_weight_decay:  # the sign turned after the decay was added
            g = g + weight_decay * p
            g = -g if maximize else g
        else:
            g = -g if maximize else g
            kind = decay or ("decoupled" if decoupled_weight_decay else "coupled")
            if kind == "coupled":
                g = g + weight_decay * p
            elif kind == "decoupled":
                p = p - lr * weight_decay * p
            else:  # without the learning rate
                p = p - (weight_decay * p if decoupled_weight_decay else 0)
                g = g if decoupled_weight_decay else g + weight_decay * p
        b1, b2 = betas[::-1] if swap else betas
        t, m, v, v_max = state.get("all", (0, 0.0, 0.0, 0.0))
        t = t + 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        c1, c2 = (1 - b1 ** (t + shift), 1 - b2 ** (t + shift)) if bias else (1.0, 1.0)
        v_max = np.maximum(v_max, v / c2 if hat_first else v)
        state["all"] = t, m, v, v_max
        v_hat = (v_max if hat_first else v_max / c2) if amsgrad else v / c2
        if eps_at == "outside":
            denominator = np.sqrt(v_hat) + eps
        elif eps_at == "inside":
            denominator = np.sqrt(v_hat + eps)
        else:  # before the bias correction
            denominator = np.sqrt(v_hat) + eps / np.sqrt(c2)
        return p - lr * m / c1 / denominator

    return rule


# What is wrong -> (rule, the wrong rule). With no argument the variants are right.
MUTANTS = {
    "Nesterov looks ahead with the old buffer": ("sgd", _sgd_variant(look_ahead="old")),
    "Nesterov steps along the buffer alone": ("sgd", _sgd_variant(look_ahead="buffer")),
    "the learning rate goes into the buffer": ("sgd", _sgd_variant(lr_in="momentum")),
    "the first gradient is dampened": ("sgd", _sgd_variant(first="dampened")),
    "momentum is an average": ("sgd", _sgd_variant(gain=lambda momentum: 1 - momentum)),
    "dampening is ignored": ("sgd", _sgd_variant(gain=lambda momentum: 1)),
    "SGD decays decoupled": ("sgd", _sgd_variant(decay="decoupled")),
    "SGD does not decay": ("sgd", _sgd_variant(decay="none")),
    "epsilon inside the root": ("adam", _adam_variant(eps_at="inside")),
    "epsilon before bias correction": ("adam", _adam_variant(eps_at="before")),
    "no bias correction": ("adam", _adam_variant(bias=False)),
    "bias correction one step late": ("adam", _adam_variant(shift=1)),
    "betas exchanged": ("adam", _adam_variant(swap=True)),
    "coupled for decoupled decay": ("adam", _adam_variant(decay="coupled")),
    "decoupled for coupled decay": ("adam", _adam_variant(decay="decoupled")),
    "decoupled decay without the learning rate": ("adam", _adam_variant(decay="without lr")),
    "maximize turns the decay as well": ("adam", _adam_variant(late=True)),
    "AMSGrad takes the largest corrected v": ("adam", _adam_variant(hat_first=True)),
}
RIGHT = {"sgd": _sgd_variant(), "adam": _adam_variant()}
