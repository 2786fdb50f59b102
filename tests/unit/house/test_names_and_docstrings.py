"""Names say what a thing is, and every module says what belongs into it."""

import ast
import re

from tests.unit.house.source_tree import modules, report

# Words for things whose author did not know what they are.
EMPTY_WORDS = re.compile(r"(Manager|Handler|Helper|Util|Utils|Wrapper)(?=[A-Z_]|$)|Impl$")
EMPTY_FILES = {"helper", "helpers", "util", "utils", "misc", "common", "manager", "handler", "wrapper"}


def test_every_module_says_what_it_holds() -> None:
    """Each module, tests included, begins with a docstring."""
    silent = [
        module.path
        for package in ("hsm", "tests", "benchmarks", "sweeps")
        for module in modules(package)
        if module.tree.body and not ast.get_docstring(module.tree)
    ]
    assert not silent, report(silent, "one line: what belongs here")


def test_classes_are_named_after_what_they_are() -> None:
    """No class is a Manager, Handler, Helper, Util or Wrapper."""
    empty = [
        f"{module.path}:{node.lineno}: {node.name}"
        for module in modules()
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and EMPTY_WORDS.search(node.name)
    ]
    assert not empty, report(empty, "find the noun")


def test_modules_are_named_after_what_they_hold() -> None:
    """No module is called utils or helpers."""
    empty = [
        module.path
        for package in ("hsm", "tests")
        for module in modules(package)
        if module.path.rpartition("/")[2].removesuffix(".py") in EMPTY_FILES
    ]
    assert not empty, report(empty, "one concept per file, named by the concept")


def test_cancelled_has_two_ls() -> None:
    """One spelling: cancelled, cancelling."""
    found = [
        f"{module.path}:{number}"
        for module in modules()
        if not module.is_in("hsm/compute/dialects/")
        for number, line in enumerate(module.text.splitlines(), 1)
        if re.search(r"cancel(ed|ing)", line, re.IGNORECASE)
    ]
    assert not found, report(found, "cancelled")
