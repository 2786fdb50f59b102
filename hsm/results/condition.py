"""`where`: a condition over columns, bound to the columns that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hsm.core.expression import MISSING, ExpressionError, Found, parse
from hsm.core.spec import Value
from hsm.results.columns import resolve

Test = Callable[[Mapping[str, Value]], bool]


def condition(text: str, columns: Sequence[str]) -> Test:
    """Return the test of a row that a text such as `metric.pcs > 0.8 and status == 'sealed'` describes.

    A cell that is missing makes a comparison false.

    Raises:
        ExpressionError: it is not a condition.
        UnknownColumn: it names what is no column.
    """
    expression = parse(text)
    if not expression.is_condition:
        raise ExpressionError(text, 1, "it is no condition", hint="for example `metric.score > 0.8`")
    places = {name: resolve(name, columns) for name in sorted(expression.names)}

    def holds(row: Mapping[str, Value]) -> bool:
        def cell(name: str) -> Found:
            value = row.get(places[name])
            return MISSING if value is None else value

        return expression.holds(cell)

    return holds
