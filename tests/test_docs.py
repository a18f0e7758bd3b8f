"""What the documents and docstrings say is so: their code runs, and what they name is there."""

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_lessons as tg
from tinygrad_lessons import cli
from tinygrad_lessons._core import core
from tinygrad_lessons.train.run_folder import FILES

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README = (ROOT / "README.md").read_text()
MODULES = [tg] + [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(tg.__path__, "tinygrad_lessons.")
    if not found.name.endswith((".__main__", "._core.core"))
]


def blocks(text, language):
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


def run(source, folder):
    """What a program of its own prints."""
    done = subprocess.run(
        [sys.executable, "-"],
        input=source,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- the documents ----


def documents():
    return [pytest.param(path, id=path.name) for path in DOCUMENTS]


@pytest.mark.parametrize("number", range(len(blocks(README, "python"))))
def test_readme_python_runs(number, tmp_path):
    run(blocks(README, "python")[number], tmp_path)


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.name) for path in DOCUMENTS if path.name != "README.md"]
)
def test_blocks_of_other_documents_run_one_after_the_other(path, tmp_path):
    run("\n".join(blocks(path.read_text(), "python")), tmp_path)


@pytest.mark.parametrize("library", ["tinygrad_lessons", "torch"])
def test_readme_loop_learns_with_either_import_line(library, tmp_path):
    if library == "torch":
        pytest.importorskip("torch")
    loop = blocks(README, "python")[0]
    line, rest = loop.split("\n", 1)
    assert line == "import tinygrad_lessons as torch" and "tinygrad_lessons" not in rest
    assert 15 <= len([text for text in loop.splitlines() if text.strip()]) <= 22
    printed = run(f"import {library} as torch\n{rest}", tmp_path)
    # half the points lie in the circle, so guessing gives 50 %
    assert float(re.search(r"accuracy (\d+\.\d) %", printed)[1]) > 95


def test_readme_command_leaves_what_the_readme_says(tmp_path, capsys):
    (command,) = re.findall(r"^tgl (train .*--epochs 20 .*)$", README, flags=re.M)
    folder = tmp_path / "run"
    assert cli.main([*command.split(), "--out", str(folder)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert float(re.fullmatch(r"test accuracy: (\d+\.\d) %", last)[1]) >= 97
    files = {path.name for path in folder.iterdir()}
    assert files == {name for name in files if f"`{name}`" in README} and "curves.png" in files


@pytest.mark.parametrize("path", documents())
def test_links_and_paths_lead_somewhere(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target
    endings = r"py|pyx|pxi|c|h|inc|def|md|txt|toml"
    for name in re.findall(rf"`([\w./*-]+(?:/|\.(?:{endings})))`", text):
        # a path may leave out the folders it begins with; a run makes files of its own
        made = name in (ROOT / ".gitignore").read_text() or name in FILES.values()
        assert made or any(ROOT.glob(f"**/{name.rstrip('/')}")), name


@pytest.mark.parametrize("path", documents())
def test_make_targets_exist(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)[`\n ]", code(path.read_text()))) <= targets


def code(text):
    """The code in a document: fenced, and between backticks."""
    return "\n".join([*blocks(text, r"\w*"), *re.findall(r"`[^`\n]+`", text)])


def test_functions_that_the_architecture_names_exist():
    folders = [ROOT / "csrc", ROOT / "tinygrad_lessons"]
    kinds = {".c", ".h", ".inc", ".def", ".py", ".pyx", ".pxi"}
    sources = "\n".join(
        path.read_text()
        for folder in folders
        for path in folder.rglob("*.*")
        if path.suffix in kinds and path.name != "core.c"
    )
    named = set(re.findall(r"\b([A-Za-z_]+)\(\)", code((ROOT / "ARCHITECTURE.md").read_text())))
    assert len(named) > 30
    assert {name for name in named if not re.search(rf"\b{name}\(", sources)} == set()


# ---- docstrings ----


def members(owner, prefix, names):
    """The named things of a module or class, and what is public in the classes among them."""
    for name in names:
        value = vars(owner)[name]
        yield f"{prefix}.{name}", value
        if inspect.isclass(value):
            inner = [inner for inner in vars(value) if not inner.startswith("_")]
            yield from members(value, f"{prefix}.{name}", inner)


def needs_docstring(value):
    return callable(value) or isinstance(value, property) or inspect.isdatadescriptor(value)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_public_names_have_docstrings(module):
    assert module.__doc__
    bare = [
        name
        for name, value in members(module, module.__name__, getattr(module, "__all__", ()))
        if needs_docstring(value) and not (inspect.getdoc(value) or "").strip()
    ]
    assert bare == []


def examples():
    """Each docstring that holds examples: Python's as doctest finds them, the core's by name."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in MODULES for test in finder.find(module, module.__name__)]
    parser = doctest.DocTestParser()
    names = [n for n, value in vars(core).items() if not inspect.ismodule(value) and n[0] != "_"]
    for name, value in members(core, "core", names):
        own = getattr(value, "__module__", core.__name__) == core.__name__
        if own and isinstance(value.__doc__, str):
            found.append(parser.get_doctest(value.__doc__, {}, name, None, None))
    return [pytest.param(test, id=test.name) for test in found if test.examples]


@pytest.mark.parametrize("test", examples())
def test_docstring_examples(test):
    report = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)


def test_examples_are_found_in_python_and_in_the_core():
    names = {parameter.id for parameter in examples()}
    assert "tinygrad_lessons.nn.linear.Linear" in names and "core.Generator" in names


def test_wrong_examples_are_caught():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    with pytest.raises(AssertionError, match="Expected"):
        test_docstring_examples(test)
