"""A status is a member of an enum: a word compared as text is a state that nobody checks."""

import ast
from collections.abc import Iterator

from tests.unit.house.source_tree import modules, report

STATE_WORDS = frozenset(
    """
    abandoned aborted active adopted canceled cancelled collected collecting complete completed dead
    done ended error exited failed failure finished idle killed lost missing ok pending planned
    preempted queued received rejected requested reused running sealed started stopped submitted
    succeeded success timeout unconfirmed unknown unreachable waiting
    """.split()
)
# The words of another system are text until a table has translated them.
PLACES_OF_FOREIGN_WORDS = ("hsm/compute/dialects/",)
# "path:word": why the word is no state there.
EXCEPTIONS: dict[str, str] = {}


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        for item in node.elts:
            yield from _texts(item)


def _sides(node: ast.Compare) -> list[ast.expr]:
    """Return what is compared as a value; of `"error" in reply` the word is a key, not a state."""
    if isinstance(node.ops[0], ast.In | ast.NotIn):
        return node.comparators
    return [node.left, *node.comparators]


def _compared_words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in _sides(node):
                yield from ((node.lineno, text) for text in _texts(side))
        elif isinstance(node, ast.MatchValue):
            yield from ((node.lineno, text) for text in _texts(node.value))


def test_no_state_is_compared_as_text() -> None:
    """No `status == "running"`, no `in ("done", "failed")`, no `case "lost"`."""
    found = [
        f'{module.path}:{line}: "{word}"'
        for module in modules()
        if not module.is_in(*PLACES_OF_FOREIGN_WORDS)
        for line, word in _compared_words(module.tree)
        if word.lower() in STATE_WORDS and f"{module.path}:{word}" not in EXCEPTIONS
    ]
    assert not found, report(found, "compare members of an enum")
