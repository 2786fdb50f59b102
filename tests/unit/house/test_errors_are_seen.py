"""An error that nobody sees leaves a sweep RUNNING for ever: broad handlers are counted, and few."""

import ast
from collections import Counter

from tests.unit.house.source_tree import modules, report

BROAD = {"Exception", "BaseException"}

# "path": (how many, why there).
ALLOWED: dict[str, tuple[int, str]] = {
    "hsm/cli/completing.py": (1, "a shell in which somebody types must never see a traceback"),
    "hsm/cli/doctor/parts.py": (1, "a plug-in is a stranger's code; what it raises is the finding"),
    "hsm/sim/agents.py": (1, "an agent that ends by an error ends its process, and nothing else"),
    "hsm/sim/at_the_end.py": (1, "an error of any kind tells that damage was not seen as such"),
    "hsm/sim/host.py": (1, "it stands for a thread of the agent"),
    "hsm/sim/loop.py": (1, "it stands for a thread of the manager"),
    "hsm/sim/process.py": (1, "whatever a dead process still tries is refused"),
    "hsm/sim/relays.py": (1, "the same as of an agent, of a relay"),
    "hsm/sim/simulation.py": (1, "an error that nobody caught is what the simulation looks for"),
    "hsm/sim/stage.py": (1, "the same, of an engine"),
    "hsm/core/lane.py": (2, "a source is a stranger's code; what it raises pauses it and is told"),
    "hsm/compute/agent/worker.py": (2, "what a thread raised is handed to the loop, which raises it there"),
    "hsm/physics/batch.py": (1, "one run of a batch that raises ends as failed, the others go on"),
    "hsm/core/threads.py": (1, "what a thread raised is handed to whoever awaits it"),
}


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(isinstance(item, ast.Name) and item.id in BROAD for item in kinds)


def _swallows(node: ast.AST) -> bool:
    """Tell whether a node catches everything and does not pass it on."""
    if isinstance(node, ast.ExceptHandler):
        return _is_broad(node.type) and not isinstance(node.body[-1], ast.Raise)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        return name == "suppress" and any(_is_broad(argument) for argument in node.args)
    return False


def test_broad_handlers_are_counted() -> None:
    """`except Exception` stands only at the process boundaries that are listed here."""
    found = Counter(module.path for module in modules() for node in module.nodes if _swallows(node))
    allowed = {path: count for path, (count, _) in ALLOWED.items()}
    wrong = [
        f"{path}: {found[path]} broad handlers, {allowed.get(path, 0)} listed"
        for path in sorted(found.keys() | allowed.keys())
        if found[path] != allowed.get(path, 0)
    ]
    assert not wrong, report(wrong, "catch what you can name; let the rest reach the supervisor")
