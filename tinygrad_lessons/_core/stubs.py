"""Writes the type stubs by which editors complete: core.pyi, and __init__.pyi of the package.

The signatures are read from the Cython sources, where they stand once; a compiled module does not show them.
"""

import ast
import re
from pathlib import Path

HEADER = "# Made by stubs.py from the Cython sources; changes belong there.\n"
PREAMBLE = """import builtins
from collections.abc import Callable
from typing import Any

import numpy

"""

# What does not return a Tensor.
RETURNS = {
    "builtins.int": "dim numel nelement element_size storage_offset data_ptr itemsize nbytes ndim output_nr __len__ "
    "__int__ __index__ __hash__ initial_seed seed device_count get_num_threads",
    "builtins.bool": "is_contiguous is_floating_point requires_grad is_leaf retains_grad __bool__ __contains__ equal "
    "allclose is_tensor is_grad_enabled is_sparse",
    "builtins.float": "__float__",
    "str": "__repr__ __format__ show_config isa name",
    "None": "backward retain_grad zero_grad __setitem__ __setattr__ __init__ set_rng_state set_default_dtype set_num_threads "
    "reset_peak_memory_stats empty_cache",
    "tuple[Tensor, ...]": "split chunk unbind grad broadcast_tensors meshgrid saved_tensors",
    "Any": "item tolist size stride type apply max min sort topk __iter__ where __reduce_ex__ __array__ next_functions "
    "memory_stats __enter__ __exit__ __call__ __get__ decorated __complex__",
    "numpy.ndarray": "numpy",
    "Size": "shape broadcast_shapes",
    "dtype": "get_default_dtype result_type",
    "device": "device",
    "Generator": "manual_seed set_state",
    "RemovableHandle": "register_hook",
    "GradFn | None": "grad_fn",
}
RETURN_OF = {name: kind for kind, names in RETURNS.items() for name in names.split()}
# Special methods of other classes than Tensor that programs call by their syntax.
SHOWN = {"__init__", "__enter__", "__exit__", "__call__"}
REFLECTED = {
    f"__{op}__"
    for op in [
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "and",
        "or",
        "xor",
        "matmul",
    ]
}
# Classes that only the engine meets.
INTERNAL = {"Extras", "NodeRef", "MemoryHolder"}
# Two names with another meaning as a property of Tensor.
PROPERTY_OF = {"dtype": "_dtype", "device": "_device", "grad": "Tensor | None"}
C_TYPES = {
    "double": "builtins.float",
    "int": "builtins.int",
    "list": "builtins.list",
    "bint": "builtins.bool",
}


def parameters(text: str) -> str:
    """A Cython parameter list as Python's: `double p=0.5` becomes `p: builtins.float = 0.5`."""
    text = re.sub(
        r"\b(double|int|list|bint) (\w+)",
        lambda m: f"{m[2]}: {C_TYPES[m[1]]}",
        " ".join(text.split()),
    )
    return re.sub(r"(: [\w.]+)=", r"\1 = ", text)


def signatures(source: str):
    """(indent, kind, name, parameters, docstring) of the classes and public functions of a Cython source."""
    pattern = re.compile(
        r"^(?P<indent> {0,4})(?:(?P<property>@property\n *)|(?P<setter>@\w+\.setter\n *)|(?P<deleter>@\w+\.deleter\n *)|(?P<static>@(?:static|class)method\n *))?"
        r"(?P<kind>def|class|cdef class) (?P<name>\w+)(?:\((?P<parameters>[^:]*?)\))?:\n(?: *\"\"\"(?P<doc>.*?)[\n\"])?",
        re.M,
    )
    for m in pattern.finditer(source):
        marks = [mark for mark in ("property", "setter", "deleter", "static") if m[mark]]
        kind = marks[0] if marks else m["kind"].split()[-1]
        yield len(m["indent"]) // 4, kind, m["name"], m["parameters"] or "", m["doc"] or ""


def module_stub(sources: list[str]) -> str:
    lines = []
    for source in sources:
        inside, current = False, ""
        for indent, kind, name, params, doc in signatures(source):
            text = f'"""{doc.strip()}"""' if doc else "..."
            if kind == "class":
                inside, current = name not in INTERNAL, name
                if inside:
                    lines += [
                        "",
                        f"class {name}({params}):" if params else f"class {name}:",
                        f"    {text}",
                    ]
                continue
            if indent and not inside or not indent and name.startswith("_"):
                continue
            if name.startswith("__") and current != "Tensor" and name not in SHOWN:
                continue
            inside = inside and indent > 0
            returns = RETURN_OF.get(name, "Tensor")
            pad = "    " * indent
            if kind == "property":
                returns = PROPERTY_OF.get(name, returns)
                lines += [f"{pad}@property"]
            if kind in ("setter", "deleter"):
                lines += [f"{pad}@{name}.{kind}"]
                returns = "None"
            if kind == "static":
                lines += [f"{pad}@staticmethod"]
                params = re.sub(r"^cls,? ?", "", params)
            lines += [f"{pad}def {name}({parameters(params)}) -> {returns}:", f"{pad}    {text}"]
            if name in REFLECTED:
                lines += [f"{pad}def __r{name[2:]}(self, other) -> Tensor: ..."]
            if name == "__richcmp__":
                lines[-2:] = [
                    f"{pad}def __{op}__(self, other) -> Tensor: ..."
                    for op in ("lt", "le", "gt", "ge")
                ]
    return "\n".join(lines) + "\n"


def make_stubs(core: Path, write=Path.write_text) -> None:
    """Writes both stubs, given the folder of the Cython sources."""
    order = [
        "backward",
        "row_methods",
        "tensor",
        "random",
        "types",
        "factories",
        "functions",
        "autograd",
        "runtime",
    ]
    sources = [(core / f"{name}.pxi").read_text() for name in order]
    text = HEADER + PREAMBLE + module_stub(sources)
    text += "\n_dtype = dtype\n_device = device\ninf: float\nnan: float\npi: float\ne: float\n"
    text += "OP_NAMES: list[str]\nFUNCTIONS: list[str]\nDTYPES: list[dtype]\nCPU: device\ndefault_generator: Generator\n"
    same = re.compile(r"^[a-z]\w* = [a-z]\w*$", re.M)
    text += "".join(f"{line}\n" for source in sources for line in same.findall(source))
    text += "".join(
        f"{name}: dtype\n" for name in ["bool_", "uint8", "int32", "int64", "float32", "float64"]
    )
    ast.parse(text)
    write(core / "core.pyi", text)

    package = (core.parent / "__init__.py").read_text()
    listed = re.search(r"HAND_WRITTEN = \((.*?)\)", (core / "core.pyx").read_text(), re.S)[1]
    by_hand = set(re.findall(r"\w+", listed))
    methods = {
        name: (params, doc)
        for source in ("row_methods", "tensor")
        for _, kind, name, params, doc in signatures((core / f"{source}.pxi").read_text())
        if kind == "def" and (source == "row_methods" or name in by_hand)
    }
    text = HEADER + "from typing import Any\n\nfrom tinygrad_lessons._core.core import *\n"
    text += "from tinygrad_lessons._tensor_str import set_printoptions as set_printoptions\n"
    text += "from tinygrad_lessons.serialization import load as load, save as save\n"
    text += "".join(
        f"from tinygrad_lessons import {name} as {name}\n"
        for name in ["autograd", "cuda", "nn", "optim", "utils"]
    )
    text += "\nbool = bool_\nempty_like = empty_like_\n__version__: str\n"
    text += "".join(f"{a} = {b}\n" for a, b in re.findall(r"^([a-z]\w*) = (\w+)$", package, re.M))
    taken = set(re.findall(r"^    (\w+),$|^([a-z]\w*) = ", package, re.M))
    taken = {name for names in taken for name in names if name}
    for name, (params, doc) in methods.items():
        if name not in taken and not name.endswith("_"):
            params = re.sub(r"^self", "input: Tensor", parameters(params))
            returns = RETURN_OF.get(name, "Tensor").replace("builtins.", "")
            params = params.replace("builtins.", "")
            text += f"def {name}({params}) -> {'Any' if returns != 'Tensor' else returns}:\n"
            text += f'    """{doc.strip()}"""\n'
    ast.parse(text)
    write(core.parent / "__init__.pyi", text)


if __name__ == "__main__":
    make_stubs(Path(__file__).resolve().parent)
