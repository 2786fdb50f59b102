"""The source tree as the house tests see it: every module parsed once, names resolved through its imports."""

import ast
import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Module:
    """One parsed file; `path` is relative to the root of the tree, with forward slashes.

    `nodes` are all nodes of its syntax tree: most rules look at each of them.
    """

    path: str
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]

    def is_in(self, *places: str) -> bool:
        """Tell whether the file is one of `places`, or below one that ends in a slash."""
        return any(
            self.path == place or (place.endswith("/") and self.path.startswith(place)) for place in places
        )


@cache
def modules(package: str = "hsm") -> tuple[Module, ...]:
    """Parse every Python file below `package`, in order of path; outputs of sweeps are no source."""
    paths = sorted((ROOT / package).rglob("*.py"))
    gc.collect()
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        return tuple(_parse(path) for path in paths if "outputs" not in path.parts)
    finally:
        gc.freeze()  # syntax trees stay, and there is much to look through in them
        if is_enabled:
            gc.enable()


def _parse(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, str(path))
    return Module(path=path.relative_to(ROOT).as_posix(), text=text, tree=tree, nodes=tuple(ast.walk(tree)))


@cache
def functions(module: Module) -> tuple[tuple[str, Function, bool], ...]:
    """Find all functions as (qualified name, node, whether it is a method)."""
    return tuple(_functions(module.tree))


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node, isinstance(tree, ast.ClassDef)
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        else:
            yield from _functions(node, prefix)


def length(node: ast.stmt) -> int:
    """Count the lines from `def` or `class` to the last, decorators not included."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


@cache
def imported_names(module: Module) -> Mapping[str, str]:
    """Map each name that an import binds to the dotted name it stands for."""
    names: dict[str, str] = {}
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                names[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


@cache
def references(module: Module) -> tuple[tuple[int, str], ...]:
    """Find every use of something imported, as (line, full dotted name): `dt.now` as `datetime.datetime.now`.

    A use is a reference, called or not, so that `default_factory=time.time` counts. Of a chain only the
    longest name is given.
    """
    return tuple(_references(module))


def _references(module: Module) -> Iterator[tuple[int, str]]:
    names = imported_names(module)
    inner = {id(node.value) for node in module.nodes if isinstance(node, ast.Attribute)}
    for node in module.nodes:
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
            dotted = _dotted(node)
            first, _, rest = dotted.partition(".")
            if first in names:
                yield node.lineno, f"{names[first]}.{rest}" if rest else names[first]


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def report(findings: list[str], rule: str) -> str:
    """Word a failure: the rule, then each finding on a line of its own."""
    return "\n  ".join([rule, *findings])
