"""Steps that stay on the tape: the text of a rule's row, run on tensors instead of compiled.

So the gradient of what follows reaches the gradients, the parameters before and the learning rate.
A trace reads the rows by the same means.
"""

import math
import re
from functools import cache

import numpy as np

from tinygrad_lessons._core import OPTIM_RULES, Tensor, full_like, tensor, where

NOT_TAPED = ("max_grad_norm", "l1", "l2", "group_lasso", "max_norm")


def _sqrt(x):
    if isinstance(x, Tensor):
        return x.sqrt()
    return math.sqrt(x) if x >= 0 else math.nan


def _float32(x):
    return float(np.float32(x))


# What rows call.
FUNCTIONS = {
    "K": lambda c: c,
    "FMA": lambda a, b, c: a * b + c,
    "SELECT": lambda c, a, b: where(c, a, b) if isinstance(c, Tensor) else a if c else b,
    "SQRT": _sqrt,
    "ABS": abs,
    "SIGN": lambda x: x.sign(),
    "MAXIMUM": Tensor.maximum,
    "MINIMUM": Tensor.minimum,
    "pow": lambda a, b: a**b,
    "sqrt": _sqrt,
    "fmax": max,
    "float32": _float32,
}


def _split(text, separator):
    """The parts between separators that stand in no parentheses."""
    parts, depth = [""], 0
    for ch in text:
        depth += (ch == "(") - (ch == ")")
        if ch == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += ch
    return [part.strip() for part in parts]


def _closing(text, opening):
    """Where the parenthesis that opens there is closed."""
    depth = 0
    for i in range(opening, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    raise SyntaxError(f"a parenthesis is not closed in {text}")


def _expression(text):
    """C's as Python's: choices by ? and :, and && and casts to float."""
    condition, *rest = _split(text, "?")
    if rest:
        yes, no = _split("?".join(rest), ":")[0], ":".join(_split("?".join(rest), ":")[1:])
        return f"({_expression(yes)} if {_expression(condition)} else {_expression(no)})"
    out, i = "", 0
    text = re.sub(r"\(float\)(\w+)", r"float32(\1)", text).replace("(float)", "float32")
    text = text.replace("&&", " and ")
    while i < len(text):
        if text[i] == "(":
            end = _closing(text, i)
            out += f"({', '.join(map(_expression, _split(text[i + 1 : end], ',')))})"
            i = end
        else:
            out += text[i]
        i += 1
    return out


def _statement(text):
    if text.startswith("if ("):
        end = _closing(text, 3)
        return f"if {_expression(text[4:end])}: {_statement(text[end + 1 :].strip())}"
    declared = re.sub(r"^(double|T) ", "", text)
    lines = []
    for part in _split(declared, ",") if declared != text else [text]:
        name, operator, value = re.fullmatch(r"(\w+) ([-+*/]?)= (.*)", part).groups()
        lines.append(f"{name} = {name + operator if operator else ''} ({_expression(value)})")
    return "\n".join(lines)


def _column(formula, name):
    start = formula.index(name + "(") + len(name)
    return formula[start + 1 : _closing(formula, start)]


def column_text(rule, column):
    """A column of the rule's row as the text of a Python program."""
    text = _column(OPTIM_RULES[rule].formula, column)
    return "\n".join(map(_statement, _split(text, ";")[:-1]))


@cache
def program(rule, column):
    """A column of the rule's row as a Python program."""
    return compile(column_text(rule, column), f"{rule}: {column}", "exec")


def kept_buffers(rule, group):
    """The names of the buffers that exist under the group's options."""
    return [
        name for name, when in zip(rule.state, rule.kept, strict=True) if when == "1" or group[when]
    ]


def scalars(rule, group, entry):
    """The names that a row finds in a parameter's next step, and those that its SCALARS make of them."""
    names = {**FUNCTIONS, **{name.upper(): bool(group[name]) for name in rule.options}}
    for name, (key, position) in zip(rule.hyper, rule.places(), strict=True):
        names[name] = group[key] if position is None else group[key][position]
    for name in rule.numbers:
        number = entry[name].item() if name in entry else rule.start(name, group)
        names[name] = _float32(number)
    fresh = any(name not in entry for name in kept_buffers(rule, group))
    names["step"] = names["step"] + 1 if "step" in names else 2 - fresh
    made = {}
    exec(program(rule.name, "SCALARS"), names, made)
    return names, made


def names_of(rule, column):
    """What stands in the SUMS or TOTALS of a row that adds up."""
    return _split(_column(rule.formula, column), ",")


def ratios(rule, names, sums):
    """What the RATIOS of a measured row make of the sums over a parameter."""
    names = names | dict(zip(names_of(rule, "SUMS"), sums, strict=False))
    made = {}
    exec(program(rule.name, "RATIOS"), names, made)
    return made


def take_taped_step(rule_name, group, state):
    """What the compiled step does, for the group's parameters that have a gradient."""
    rule = OPTIM_RULES[rule_name]
    kept = kept_buffers(rule, group)
    for p in group["params"]:
        if p.grad is None:
            continue
        entry = state[p] if kept or rule.numbers else {}
        names, made = scalars(rule, group, entry)
        names |= made
        for name in rule.numbers:
            entry[name] = tensor(float(names[name]))
        for name in kept:
            if name not in entry:
                value = rule.start(name, group)
                entry[name] = p.clone() if value is None else full_like(p.detach(), value)
        names |= {name: entry.get(name) for name in rule.state}
        g = -p.grad if group.get("maximize") else p.grad
        decay = 0 if "weight_decay" in rule.hyper else group.get("weight_decay", 0)
        names["p"], names["g"] = p, g
        if decay and group.get("decoupled_weight_decay"):
            names["p"] = p - group["lr"] * decay * p
        elif decay:
            names["g"] = g + decay * p
        exec(program(rule_name, "UPDATE"), names)
        for name in kept:
            entry[name] = names[name]
        p.copy_(names["p"])
