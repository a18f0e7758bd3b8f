"""Make docs/optimizers.md, the formulas of the compiled optimizers, from the rows of csrc/optim.def.

    python tools/make_optimizers_page.py

Run it after a change to a row or to what an optimizer's docstring gives as its source.
"""

import ast
import inspect
import re
from pathlib import Path

from tinygrad_lessons import optim
from tinygrad_lessons._core import OPTIM_RULES
from tinygrad_lessons.optim.differentiable import column_text, names_of

OUT = Path(__file__).parents[1] / "docs" / "optimizers.md"
HEAD = """\
# Formulas of the compiled optimizers

What each rule computes, as the rows of [csrc/optim.def](../csrc/optim.def) say it; `python tools/make_optimizers_page.py` makes
this page of them. `p` is an element of a parameter, `g` of its gradient. An option, in capitals, is on if what the group has by that
name is true. Hyperparameters are numbers of the group, where `beta1` is `betas[0]`. Of the state, numbers hold for a whole parameter,
buffers for an element; they start with 0 where nothing else is said, and `step` is 1 in a parameter's first update.

Before, for every rule: `g` is scaled if the group has `max_grad_norm`, `maximize` turns its sign, and `weight_decay` is added as
`g += weight_decay * p`, or if decoupled, taken as `p -= lr * weight_decay * p`. A rule with `weight_decay` among its
hyperparameters sees to that itself. Of a row-sparse gradient, SGD without momentum, Adagrad and SparseAdam
move the rows it has and no others. Afterwards come `l1`, `l2`, `group_lasso` and `max_norm`, if the group sets them: see `Optimizer`.

`optimizer.trace()` records the state and all that stands under *per tensor* by these names.
"""


class Readable(ast.NodeTransformer):
    """The functions of rows as a reader would write them."""

    NAMES = {"SQRT": "sqrt", "ABS": "abs", "SIGN": "sign", "MAXIMUM": "max", "MINIMUM": "min"}

    def visit_Call(self, node):
        self.generic_visit(node)
        name, args = node.func.id, node.args
        if name == "K":
            return args[0]
        if name == "FMA":
            product, rest = ast.BinOp(args[0], ast.Mult(), args[1]), without_minus(args[2])
            operator = ast.Add() if rest is None else ast.Sub()
            return ast.BinOp(product, operator, args[2] if rest is None else rest)
        if name == "SELECT":
            return ast.IfExp(*args)
        if name == "pow":
            return ast.BinOp(args[0], ast.Pow(), args[1])
        node.func.id = {**self.NAMES, "fmax": "max"}.get(name, name)
        return node


def without_minus(node):
    """-a or -a * b without the sign; None if there is none."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left = without_minus(node.left)
        return None if left is None else ast.BinOp(left, node.op, node.right)
    return None


def readable(rule, columns):
    """Columns of the row as lines of Python."""
    tree = ast.parse("\n".join(column_text(rule.name, column) for column in columns))
    return ast.unparse(ast.fix_missing_locations(Readable().visit(tree))).replace(":\n    ", ": ")


def passes(rule):
    """(title, formulas) of what the rule computes, in order."""
    if not rule.measured:
        return [
            ("per tensor", readable(rule, ["SCALARS"])),
            ("per element", readable(rule, ["UPDATE"])),
        ]
    sums = " and ".join(names_of(rule, "SUMS"))
    if rule.joint:
        totals = " and ".join(names_of(rule, "TOTALS"))
        return [
            ("per tensor", readable(rule, ["SCALARS"])),
            (f"per element; {sums} are then summed up", readable(rule, ["UPDATE"])),
            (
                f"per tensor; {totals} are then summed up over all tensors with a gradient",
                readable(rule, ["RATIOS"]),
            ),
            ("per group, for the next step", readable(rule, ["GROUP"])),
        ]
    return [
        ("per tensor", readable(rule, ["SCALARS"])),
        (f"per element; {sums} are then summed up", readable(rule, ["FIRST", "BOTH"])),
        ("per tensor", readable(rule, ["RATIOS"])),
        ("per element", readable(rule, ["UPDATE"])),
    ]


def papers(optimizer):
    """What the optimizer's docstring gives as its source, on one line."""
    text = inspect.getdoc(optimizer) + "\n\n"
    return " ".join(re.search(r"^Sources?: (.*?)\n\n", text, re.M | re.S)[1].split())


def section(rule):
    """What the page says about a rule."""
    kinds = [getattr(optim, name) for name in optim.__all__]
    users = [kind for kind in kinds if getattr(kind, "_rule", None) == rule.name]
    buffers = [
        f"`{name}`" + ("" if when == "1" else f" (if {when.upper()})")
        for name, when in zip(rule.state, rule.kept, strict=True)
    ]
    facts = {
        "options": [f"`{name.upper()}`" for name in rule.options],
        "hyperparameters": [f"`{name}`" for name in rule.hyper],
        "state": [f"`{name}`" for name in rule.numbers] + buffers,
        "starts": [f"`{name} = {value}`" for name, value in rule.starts.items()],
    }
    return "\n".join(
        [
            f"## {', '.join(user.__name__ for user in users)}",
            "",
            *(f"- {user.__name__}: {papers(user)}" for user in users),
            *(f"- {title}: {', '.join(names)}" for title, names in facts.items() if names),
            "",
            "```",
            "\n\n".join(f"# {title}\n{text}" for title, text in passes(rule) if text),
            "```",
        ]
    )


def page():
    """The whole page."""
    return "\n\n".join([HEAD.strip(), *map(section, OPTIM_RULES.values())]) + "\n"


if __name__ == "__main__":
    OUT.write_text(page())
