"""Big things are where code stops being read: how long a module, a class or a function may become."""

import ast
import statistics

from tests.unit.house.source_tree import functions, length, modules, report

MODULE_LINES = 400
CLASS_LINES = 250
CLASS_PUBLIC_METHODS = 15
FUNCTION_LINES = 50
MEDIAN_FUNCTION_LINES = 12
POSITIONAL_PARAMETERS = 5

# "path::name" (or "path" for a module): the reason why it may be bigger.
EXCEPTIONS: dict[str, str] = {
    "hsm/core/events.py": "every event in one list, which is the format of the ledger",
    "hsm/core/world.py::World": "everything outside of the program, as one object",
    "hsm/wire/files.py::Files": "the whole file system in one seam, a few lines for each call",
    "hsm/sim/contents.py::Contents": "one half of the file system that a simulation stands on",
    "hsm/sim/files.py::SimFiles": "the other half",
    "hsm/sim/host.py::SimHost": "the simulated half of the agent's operating system",
    "hsm/compute/agent/host.py::Host": "the agent's operating system in one seam, a few lines for each call",
}


def _over(budget: str, measured: list[tuple[str, int, int]]) -> list[str]:
    return [
        f"{name}: {size} {budget}, at most {allowed}"
        for name, size, allowed in measured
        if size > allowed and name not in EXCEPTIONS
    ]


def _classes() -> list[tuple[str, ast.ClassDef]]:
    return [
        (f"{module.path}::{node.name}", node)
        for module in modules()
        for node in module.nodes
        if isinstance(node, ast.ClassDef)
    ]


def _functions() -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    return [
        (f"{module.path}::{name}", node, is_method)
        for module in modules()
        for name, node, is_method in functions(module)
    ]


def _decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}


def _public_methods(node: ast.ClassDef) -> int:
    """Count methods that a caller sees; a property is an attribute, and an overload has no body."""
    return sum(
        isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        and not child.name.startswith("_")
        and not _decorators(child) & {"property", "cached_property", "overload", "setter"}
        for child in node.body
    )


def _positional(node: ast.FunctionDef | ast.AsyncFunctionDef, *, is_method: bool) -> int:
    bound = is_method and "staticmethod" not in _decorators(node)
    return len(node.args.posonlyargs) + len(node.args.args) - bound


def test_modules_are_short() -> None:
    """No module has more than 400 lines."""
    sizes = [(module.path, module.text.count("\n"), MODULE_LINES) for module in modules()]
    assert not (over := _over("lines", sizes)), report(over, "split by concept")


def test_classes_are_short() -> None:
    """No class has more than 250 lines."""
    over = _over("lines", [(name, length(node), CLASS_LINES) for name, node in _classes()])
    assert not over, report(over, "a class does one thing")


def test_classes_have_few_public_methods() -> None:
    """No class has more than 15 public methods."""
    sizes = [(name, _public_methods(node), CLASS_PUBLIC_METHODS) for name, node in _classes()]
    assert not (over := _over("public methods", sizes)), report(over, "a class does one thing")


def test_functions_are_short() -> None:
    """No function has more than 50 lines, docstring included."""
    over = _over("lines", [(name, length(node), FUNCTION_LINES) for name, node, _ in _functions()])
    assert not over, report(over, "a function does one thing")


def test_the_typical_function_is_short() -> None:
    """Half of all functions have at most 12 lines."""
    assert statistics.median(length(node) for _, node, _ in _functions()) <= MEDIAN_FUNCTION_LINES


def test_functions_have_few_positional_parameters() -> None:
    """No function has more than 5 parameters that can be given by position."""
    sizes = [
        (name, _positional(node, is_method=is_method), POSITIONAL_PARAMETERS)
        for name, node, is_method in _functions()
    ]
    over = _over("positional parameters", sizes)
    assert not over, report(over, "make them keyword-only, or a dataclass")


def test_every_exception_is_still_needed() -> None:
    """An exception whose module, class or function is gone is taken out of the list."""
    known = {module.path for module in modules()}
    known |= {name for name, _ in _classes()} | {name for name, _, _ in _functions()}
    assert not set(EXCEPTIONS) - known
