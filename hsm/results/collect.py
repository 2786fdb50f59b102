"""From a ledger to `Results`, whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hsm.core.spec import Objective, SweepSpec
from hsm.core.tree import SweepTree
from hsm.results.columns import METAS, expected_columns, ordered
from hsm.results.rows import Row, rows
from hsm.results.significance import add_q_values
from hsm.results.table import Results
from hsm.wire.files import Files


def results_of(files: Files, tree: SweepTree, spec: SweepSpec) -> Results:
    """Return the results of a sweep as they stand now, failed and open tasks included.

    Raises:
        HsmError: the sweep cannot be read.
    """
    objective = spec.hunt.objective if spec.hunt else None
    return gathered(rows(files, tree, spec), expected_columns(spec), objective)


def gathered(found: Iterable[Row], expected: Sequence[str], objective: Objective | None = None) -> Results:
    """Return the rows of a sweep as columns, q-values added; what only some rows have is there for all."""
    kept = list(found)
    add_q_values(kept)
    names = dict.fromkeys(expected)
    for row in kept:
        if not row.keys() <= names.keys():
            names.update(dict.fromkeys(row))
    columns = ordered(name for name in names if name not in METAS)
    return Results({name: [row.get(name) for row in kept] for name in columns}, objective=objective)
