"""docs/optimizers.md: it is what its tool makes of the rows, and its formulas give the compiled steps."""

import math
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from optim_runs import ALL_CASES, ALL_IDS

import tinygrad_lessons as tg
from tinygrad_lessons import optim
from tinygrad_lessons._core import OPTIM_RULES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "optimizers.md").read_text()
SECTIONS = {
    name: text for text in PAGE.split("\n## ")[1:] for name in text.splitlines()[0].split(", ")
}
FUNCTIONS = {
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else math.nan,
    "sign": np.sign,
    "float32": lambda x: float(np.float32(x)),
}


def test_the_page_is_up_to_date():
    tool = runpy.run_path(str(ROOT / "tools" / "make_optimizers_page.py"))
    assert tool["page"]() == PAGE, "run python tools/make_optimizers_page.py"


def test_every_compiled_optimizer_is_there():
    kinds = {name: getattr(getattr(optim, name), "_rule", None) for name in optim.__all__}
    assert {name for name, rule in kinds.items() if isinstance(rule, str)} == SECTIONS.keys()


@pytest.mark.parametrize(("name", "rule", "fixed", "options"), ALL_CASES, ids=ALL_IDS)
def test_the_formulas_are_the_steps(name, rule, fixed, options):
    """The code of the page, run on one element in float64, beside the compiled rule."""
    p = tg.tensor([1.5], dtype=tg.float64, requires_grad=True)
    optimizer = getattr(optim, name)([p], **options)
    if hasattr(optimizer, "train"):
        optimizer.train()
    (group,), row = optimizer.param_groups, OPTIM_RULES[rule]
    (code,) = re.findall(r"```\n(.*?)```", SECTIONS[name], re.S)
    starts = dict(re.findall(r"`(\w+) = (\w+)`", SECTIONS[name]))
    names = FUNCTIONS | {option.upper(): bool(group[option]) for option in row.options}
    for hyper, (key, position) in zip(row.hyper, row.places(), strict=True):
        names[hyper] = group[key] if position is None else group[key][position]
    for state in (*row.numbers, *row.state):
        names[state] = eval(starts.get(state, "0"), {**group, "p": 1.5})
    names["p"], decay = 1.5, 0 if "weight_decay" in row.hyper else group.get("weight_decay", 0)
    moved = 0
    for step, g in enumerate((0.5, -2.0, 1.0, 0.25), 1):
        before = names["p"]
        p.grad = tg.tensor([g], dtype=tg.float64)
        optimizer.step()
        names |= {"step": step, "g": -g if group["maximize"] else g}
        if group.get("decoupled_weight_decay"):
            names["p"] -= group["lr"] * decay * names["p"]
        else:
            names["g"] += decay * names["p"]
        exec(code, names)
        assert p.item() - before == pytest.approx(names["p"] - before, rel=1e-6, abs=1e-9)
        moved += abs(p.item() - before) > 1e-5
        names["p"] = p.item()
    assert moved >= 3  # Rprop rests where the sign changes
