"""The type stubs, made by the build, name all that the package offers."""

import ast
from pathlib import Path

import tinygrad_lessons as tg

PACKAGE = Path(tg.__file__).parent


def body(path, class_name=None):
    tree = ast.parse(path.read_text())
    if class_name is not None:
        (tree,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == class_name]
    names = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names.add(node.targets[0].id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_every_tensor_method():
    core = PACKAGE / "_core" / "core.pyi"
    offered = {name for name in dir(tg.Tensor) if not name.startswith("_")}
    aliases = {name for name in offered if getattr(tg.Tensor, name).__name__ != name}
    missing = offered - aliases - body(core, "Tensor") - body(core, "RowMethods")
    assert "sum" in offered and "exp" in offered
    assert not missing


def test_every_name_of_the_package():
    stub = body(PACKAGE / "__init__.pyi") | body(PACKAGE / "_core" / "core.pyi")
    aliases = {name for name in tg._core.FUNCTIONS if getattr(tg.Tensor, name).__name__ != name}
    missing = set(tg.__all__) - stub - aliases
    assert "exp" in tg.__all__ and "tensor" in tg.__all__
    assert not missing
