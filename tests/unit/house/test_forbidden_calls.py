"""Clocks, randomness, sleeping and processes come from the world object; some calls are for nobody."""

import ast
from collections.abc import Iterator

from tests.unit.house.source_tree import Module, imported_names, modules, references, report

WORLD = (
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
    "asyncio.sleep",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.exec*",
    "os.fork*",
    "os.getrandom",
    "os.popen",
    "os.posix_spawn*",
    "os.spawn*",
    "os.urandom",
    "random.*",
    "secrets.*",
    "subprocess.*",
    "time.localtime",
    "time.monotonic*",
    "time.perf_counter*",
    "time.sleep",
    "time.time*",
    "uuid.*",
)
# The files that may touch the world directly.
WORLD_PLACES = (
    "hsm/core/world.py",  # the world object itself
    "hsm/compute/agent/",  # a program of its own, on the other side of the log
    "hsm/physics/",  # a user's program: it measures its own wall time, and nothing of it is replayed
)
# "path": {name: why it is right there}.
EXCEPTIONS: dict[str, dict[str, str]] = {}

TASKS = ("asyncio.create_task", "asyncio.ensure_future")

NOBODY = (
    "importlib.reload",
    "marshal.*",
    "os.system",
    "pickle.*",
    "shelve.*",
    "yaml.full_load",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load*",
)
NOBODY_BUILTINS = {"eval", "exec", "compile", "__import__"}


# A seeded generator is data that is passed around; only `random.Random()` asks the machine for a seed.
SEEDED = "random.Random"
# Names that do nothing: what the world object takes and what it raises.
HARMLESS = {
    SEEDED,
    "subprocess.CalledProcessError",
    "subprocess.CompletedProcess",
    "subprocess.DEVNULL",
    "subprocess.PIPE",
    "subprocess.STDOUT",
    "subprocess.SubprocessError",
    "subprocess.TimeoutExpired",
}


def _is_in_list(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        name.startswith(pattern[:-1]) or name == pattern.removesuffix(".*")
        if pattern.endswith("*")
        else name == pattern
        for pattern in patterns
    )


def _uses(patterns: tuple[str, ...], *, outside: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{module.path}:{line}: {name}"
        for module in modules()
        if not module.is_in(*outside)
        for line, name in references(module)
        if _is_in_list(name, patterns) and name not in HARMLESS | EXCEPTIONS.get(module.path, {}).keys()
    ]


def _unseeded(module: Module) -> Iterator[int]:
    """Find `Random()` without a seed."""
    names = imported_names(module)
    for node in module.nodes:
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            first, dot, rest = ast.unparse(node.func).partition(".")
            if names.get(first, first) + dot + rest == SEEDED:
                yield node.lineno


def _loop_tasks(module: Module) -> Iterator[int]:
    """Find `.create_task` on an event loop rather than on a TaskGroup."""
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "create_task":
            owner = ast.unparse(node.value)
            if owner.endswith(("loop", "_loop()")):
                yield node.lineno


def _builtin_calls(module: Module, names: set[str]) -> Iterator[tuple[int, str]]:
    hidden = set(imported_names(module))
    for node in module.nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in names - hidden:
            yield node.lineno, node.func.id


def test_only_the_world_touches_clocks_chance_and_processes() -> None:
    """No module but the world, the agent and the physics reads a clock, draws lots or starts a process."""
    uses = _uses(WORLD, outside=WORLD_PLACES)
    uses += [
        f"{module.path}:{line}: Random() without a seed" for module in modules() for line in _unseeded(module)
    ]
    assert not uses, report(uses, "take it from the World that is passed in")


def test_every_task_has_a_parent() -> None:
    """Coroutines are started in a TaskGroup, never left to themselves."""
    uses = _uses(TASKS, outside=("hsm/core/world.py",))
    uses += [
        f"{module.path}:{line}: loop.create_task" for module in modules() for line in _loop_tasks(module)
    ]
    assert not uses, report(uses, "use asyncio.TaskGroup")


def test_nobody_loads_code_from_data() -> None:
    """Nothing unpickles, evaluates, runs a shell through os.system, or loads YAML with tags."""
    uses = _uses(NOBODY)
    uses += [
        f"{module.path}:{line}: {name}()"
        for module in modules()
        for line, name in _builtin_calls(module, NOBODY_BUILTINS)
    ]
    assert not uses, report(uses, "data never becomes code")


def test_nobody_asks_for_a_shell() -> None:
    """No process is started with shell=True."""
    uses = [
        f"{module.path}:{node.value.lineno}"
        for module in modules()
        for node in module.nodes
        if isinstance(node, ast.keyword) and node.arg == "shell"
        if isinstance(node.value, ast.Constant) and node.value.value is True
    ]
    assert not uses, report(uses, "processes are started from argv lists")


def test_only_the_command_line_prints() -> None:
    """print() is for hsm/cli and for the physics worker, whose stdout is its user's log."""
    uses = [
        f"{module.path}:{line}"
        for module in modules()
        if not module.is_in("hsm/cli/", "hsm/physics/")
        for line, _ in _builtin_calls(module, {"print"})
    ]
    assert not uses, report(uses, "return the text, or log it")
