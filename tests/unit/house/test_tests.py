"""Rules about the tests themselves: what they say, what they fake, what they wait for."""

import ast

from tests.unit.house.source_tree import Module, functions, modules, references, report

MOCKS_PER_1000_LINES = 3
MOCK_NAMES = ("unittest.mock", "mock")


def _mocks(module: Module) -> int:
    """Count uses of unittest.mock and attributes swapped by monkeypatch; setenv and chdir are no mocks."""
    uses = sum(name.startswith(MOCK_NAMES) for _, name in references(module))
    return uses + sum(
        isinstance(node, ast.Attribute)
        and node.attr in {"setattr", "delattr"}
        and isinstance(node.value, ast.Name)
        and node.value.id.startswith("monkeypatch")
        for node in module.nodes
    )


def test_mocks_are_rare() -> None:
    """Real parts come first, then fakes that pass the contract; fewer than 3 mocks in 1,000 lines."""
    counted = {module.path: _mocks(module) for module in modules("tests")}
    lines = sum(module.text.count("\n") for module in modules("tests"))
    mocking = [f"{path}: {count}" for path, count in counted.items() if count]
    assert sum(counted.values()) * 1000 < MOCKS_PER_1000_LINES * lines, report(mocking, "use a fake")


def test_every_test_says_which_behaviour_it_checks() -> None:
    """Each test has a docstring, so that the suite reads as a specification."""
    silent = [
        f"{module.path}:{node.lineno}: {name}"
        for module in modules("tests")
        if module.path.rpartition("/")[2].startswith("test_")
        for name, node, _ in functions(module)
        if name.rpartition(".")[2].startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent, report(silent, "one sentence that names the behaviour")


def test_no_test_sleeps_for_a_fixed_time() -> None:
    """A test waits for an event, a file or a process, with a limit; asyncio.sleep(0) only yields."""
    sleeping = [f"{module.path}:{line}" for module in modules("tests") for line in _sleeps(module)]
    assert not sleeping, report(sleeping, "wait for what should happen")


def _sleeps(module: Module) -> list[int]:
    names = {name: line for line, name in references(module) if name in {"time.sleep", "asyncio.sleep"}}
    if not names:
        return []
    return [
        node.lineno
        for node in module.nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "sleep"
        if not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
        if not _is_polling(module, node)
    ]


def _is_polling(module: Module, call: ast.Call) -> bool:
    """Tell whether the call stands in a loop that looks at something between two short sleeps."""
    return any(
        isinstance(node, ast.While | ast.For | ast.AsyncFor)
        and node.lineno <= call.lineno <= (node.end_lineno or node.lineno)
        for node in module.nodes
    )
