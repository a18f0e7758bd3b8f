"""Writes the Cython of the element-wise ops from the rows of csrc/unary.def and csrc/binary.def.

A row's derivative serves twice: C compiles its text into the first-order loop, and here the same text becomes calls
of differentiable ops, which run when the gradient itself is to be differentiated.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

HEADER = "# Made by generate.py from the rows of csrc/*.def; changes belong there.\n\n"

METHODS_CLASS = '''cdef class RowMethods:
    """The fields of a Tensor, and its methods that rows describe."""
    cdef val v
    cdef dict __dict__
    cdef object __weakref__
'''

OPERATORS = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.BitAnd: "logical_and",
    ast.BitOr: "logical_or",
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}
FUNCTIONS = {
    "SELECT": "where",
    "SIGN": "sign",
    "SQRT": "sqrt",
    "EXP": "exp",
    "LOG": "log",
    "SIN": "sin",
    "COS": "cos",
    "SINH": "sinh",
    "COSH": "cosh",
    "TANH": "tanh",
    "ERF": "erf",
    "SIGMOID": "sigmoid",
    "GELU_SLOPE": "gelu_slope",
    "MISH_SLOPE": "mish_slope",
    "ERFC": "erfc",
    "SQUARE": "square",
    "POW": "pow",
    "TRUNC": "trunc",
    "FLOOR_DIVIDE": "floor_divide",
}


@dataclass
class Row:
    kind: str
    name: str
    texts: list[str]  # forward, then a derivative for each operand

    @property
    def operands(self) -> str:
        return "ab" if self.binary else "x"

    @property
    def binary(self) -> bool:
        return self.kind in ("BITWISE", "COMPARE") or self.kind.startswith("BINARY")

    @property
    def parameters(self) -> list[str]:
        """P0 and P1, as far as the row has them."""
        return [
            p for p in ("p0", "p1") if self.kind.endswith("_PAR") and p.upper() in self.texts[0]
        ]

    @property
    def derivatives(self) -> list[str]:
        return self.texts[1:]

    @property
    def differentiable(self) -> bool:
        return bool(self.derivatives)

    @property
    def to_bool(self) -> bool:
        return self.kind in ("PREDICATE", "COMPARE")

    def flags(self) -> str:
        names = {name for text in self.derivatives for name in variables(text)}
        flags = []
        if names & {"x", "a"}:
            flags.append("SAVES_FIRST")
        if "b" in names:
            flags.append("SAVES_SECOND")
        if "y" in names:
            flags.append("SAVES_RESULT")
        if self.kind in ("UNARY", "UNARY_FLOAT_PAR", "UNARY_HARD", "BINARY"):
            flags.append("FLOAT_ONLY")
        if self.to_bool:
            flags.append("TO_BOOL")
        if re.search(r"FLOOR_DIVIDE|REMAINDER|FMOD", self.texts[0]):
            flags.append("DIVIDES")
        return " | ".join(flags) or "0"


def split_arguments(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for i, ch in enumerate(text):
        depth += (ch == "(") - (ch == ")")
        if ch == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [" ".join(part.split()) for part in parts]


def read_rows(path: Path) -> list[Row]:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    rows = []
    for match in re.finditer(r"^([A-Z_]+)\(", text, flags=re.M):
        depth, end = 1, match.end()
        while depth:
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        name, *texts = split_arguments(text[match.end() : end - 1])
        rows.append(Row(match[1], name, texts))
    return rows


def variables(text: str) -> set[str]:
    return {
        node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)
    }


def differentiable(node: ast.expr) -> str:
    """The expression as calls of differentiable ops on values."""
    match node:
        case ast.Expression():
            return differentiable(node.body)
        case ast.Name(id=("P0" | "P1") as name):
            return f"constant(n.s[{name[1]}], g0)"
        case ast.Name():
            return node.id if node.id != "g" else "g0"
        case ast.Call(func=ast.Name(id="K"), args=[number]):
            return f"constant({ast.unparse(number)}, g0)"
        case ast.Call(func=ast.Name(id="ABS"), args=[x]):
            return f"op_abs({differentiable(x)})"
        case ast.Call(func=ast.Name(id=name), args=args):
            return f"op_{FUNCTIONS[name]}({', '.join(map(differentiable, args))})"
        case ast.UnaryOp(op=ast.USub(), operand=x):
            return f"op_neg({differentiable(x)})"
        case ast.BinOp(left=a, op=op, right=b) | ast.Compare(left=a, ops=[op], comparators=[b]):
            return f"op_{OPERATORS[type(op)]}({differentiable(a)}, {differentiable(b)})"
    raise SyntaxError(f"cannot differentiate {ast.unparse(node)}")


def simple(text: str) -> bool:
    """A derivative that is g, or one op on names: no loop of its own is needed."""
    node = ast.parse(text, mode="eval").body
    match node:
        case ast.Name():
            return True
        case ast.UnaryOp(operand=ast.Name()):
            return True
        case ast.BinOp(left=ast.Name(), right=ast.Name()):
            return True
    return False


def loads(row: Row, text: str) -> list[str]:
    slots = {"x": 0, "a": 0, "b": 1, "y": 2 if row.binary else 1}
    names = sorted(variables(text) & set(slots))
    return [f"{name} = saved(n, {slots[name]})" for name in names]


def backward(row: Row) -> str:
    lines = [
        f"cdef int {row.name}_backward(tg_node *n, val *g, val *out) except -1:",
        "    cdef val g0 = g[0]",
    ]
    locals_ = sorted({v for t in row.derivatives for v in variables(t)} & set("xaby"))
    if locals_:
        lines.append(f"    cdef val {', '.join(locals_)}")
    for k, text in enumerate(row.derivatives):
        expression = differentiable(ast.parse(text, mode="eval"))
        if row.binary:
            lines.append(f"    if wants(n, {k}):")
            fused = f"binary_backward(TG_BINARY_{row.name}, {k}, n, {row.flags()}, g0)"
        else:
            fused = f"unary_backward(TG_UNARY_{row.name}, n, {row.flags()}, g0)"
        body = loads(row, text) + [f"out[{k}] = {expression}"]
        pad = "        " if row.binary else "    "
        if text == "K(0)":
            lines.append(f"{pad}out[{k}] = make_zeros_like(g0)")
        elif simple(text):
            lines += [f"{pad}{line}" for line in body]
        else:
            lines += [f"{pad}if tg_grad_disabled:", f"{pad}    out[{k}] = {fused}", f"{pad}else:"]
            lines += [f"{pad}    {line}" for line in body]
    return "\n".join([*lines, "    return 0", ""])


def op(row: Row) -> str:
    rule = f"&RULE_{row.name}" if row.differentiable else "NULL"
    table = "BINARY" if row.binary else "UNARY"
    call = f'"{row.name}", TG_{table}_{row.name}, {rule}, {row.flags()}'
    if row.binary:
        one, args, extra = "val a, val b", "a, b", ""
    elif row.parameters:
        one, args, extra = "val x, double p0, double p1=0", "x", ", p0, p1"
    else:
        one, args, extra = "val x", "x", ", 0, 0"
    kind = "binary" if row.binary else "unary"
    first = "a" if row.binary else "x"
    lines = []
    if row.differentiable:
        title = "".join(word.capitalize() for word in row.name.split("_"))
        lines.append(f'cdef tg_rule RULE_{row.name} = tg_rule(b"{title}", {row.name}_backward)')
    lines += [
        f"cdef inline val op_{row.name}({one}) except NULL:",
        f"    return {kind}({call}, {args}, NULL{extra})",
        "",
        f"cdef inline val op_{row.name}_({one}) except NULL:",
        f"    return {kind}({call}, {args}, {first}{extra})",
        "",
    ]
    return "\n".join(lines)


def method(row: Row) -> str:
    """The Tensor methods of a row; those with parameters or names of their own are written by hand."""
    formula = row.texts[0]
    if row.binary:
        return f'''
def {row.name}(self, other):
    """Element-wise `{formula}` with a = self, b = other; the operands broadcast and are promoted."""
    return wrap(op_{row.name}(self.v, operand(other, self.v, "{row.name}")))

def {row.name}_(self, other):
    """{row.name} in place."""
    return wrap(op_{row.name}_(self.v, operand(other, self.v, "{row.name}_")))
'''
    given = "".join(f", double {p}" for p in row.parameters)
    passed = "".join(f", {p}" for p in row.parameters)
    said = f" with {' and '.join(p.upper() + ' = ' + p for p in row.parameters)}" if given else ""
    return f'''
def {row.name}(self{given}):
    """Element-wise `{formula}`{said}."""
    return wrap(op_{row.name}(self.v{passed}))

def {row.name}_(self{given}):
    """{row.name} in place."""
    return wrap(op_{row.name}_(self.v{passed}))
'''


# Operators of Python's, and the rows that they are.
SYMBOLS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "truediv",
    "floor_divide": "floordiv",
    "remainder": "mod",
    "bitwise_and": "and",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
}


def operator(row: Row) -> str:
    """The operator of a row, and its in-place twin."""
    return "".join(
        f'''
def __{prefix}{SYMBOLS[row.name]}__(a, b):
    cdef val x, y
    if not operands(a, b, "{row.name}{suffix}", &x, &y):
        return NotImplemented
    return wrap(op_{row.name}{suffix}(x, y))
'''
        for prefix, suffix in (("", ""), ("i", "_"))
    )


BY_HAND = {
    "sign",
    "square",
    "clamp",
    "gelu",
    "gelu_tanh",
    "prelu",
    "div",
    "pow",
    "add",
    "sub",
    "round",
}


def generate(csrc: Path, out: Path) -> None:
    """Writes rows.pxi (rules and ops) and row_methods.pxi (the class that Tensor inherits them from) into the folder out."""
    rows = read_rows(csrc / "unary.def") + read_rows(csrc / "binary.def")
    enums = ['cdef extern from "table.h" nogil:', "    enum:"]
    enums += [f"        TG_{'BINARY' if row.binary else 'UNARY'}_{row.name}" for row in rows]
    text = HEADER + "\n".join(enums) + "\n\n"
    text += "\n".join(backward(row) for row in rows if row.differentiable) + "\n"
    text += "\n".join(op(row) for row in rows)
    text += f"\nOP_KINDS = { {row.name: row.kind for row in rows} }\nOP_NAMES = list(OP_KINDS)\n"
    write_if_changed(out / "rows.pxi", text)
    methods = "".join(method(row) for row in rows if row.name not in BY_HAND)
    methods += "".join(operator(row) for row in rows if row.name in SYMBOLS)
    write_if_changed(out / "row_methods.pxi", HEADER + METHODS_CLASS + indent(methods, "    "))


def write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    generate(here.parent.parent / "csrc", here)
