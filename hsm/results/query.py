"""A question about the results of one or many sweeps, answered row by row as the ledgers are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from hsm.core.significance import is_p_value
from hsm.core.spec import SweepSpec
from hsm.core.tree import SweepTree
from hsm.results.columns import METAS, PARAM, chosen, expected_columns, ordered, resolve
from hsm.results.condition import condition
from hsm.results.order import ranked
from hsm.results.rows import Row, rows
from hsm.results.significance import add_q_values
from hsm.wire.files import Files

WINDOW_ROWS = 200
"""So many rows are looked at before the first is told, to learn which columns there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked: a condition, columns, an order (`-` before the name: falling), how many rows."""

    where: str = ""
    fields: tuple[str, ...] = ()
    sort: str = ""
    limit: int | None = None


@dataclass(slots=True)
class Tally:
    """What has been seen while rows were told; `late` are columns that were not known at the beginning."""

    seen: int = 0
    told: int = 0
    late: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The columns that are known, those that are asked for (none: all), and the rows, which come once."""

    columns: tuple[str, ...]
    fields: tuple[str, ...]
    rows: Iterator[Row]
    tally: Tally


def answer(
    files: Files, sweeps: Sequence[tuple[SweepTree, SweepSpec]], query: Query, *, whole: bool = False
) -> Answer:
    """Return the answer to a query; with `whole`, or an order, every row is read before the first is told.

    Raises:
        ExpressionError, UnknownColumn: the query cannot be understood.
        HsmError: a sweep cannot be read; while rows are told, too.
    """
    tally = Tally()
    each = (_with_q_values(rows(files, tree, spec)) for tree, spec in sweeps)
    every = _counted(chain.from_iterable(each), tally)
    window = list(every) if whole or query.sort else list(islice(every, WINDOW_ROWS))
    columns = _columns([spec for _, spec in sweeps], window)
    names = tuple(chosen(query.fields, columns))
    key = resolve(query.sort.removeprefix("-"), columns) if query.sort else ""
    test = condition(query.where, columns) if query.where else None
    found: Iterator[Row] = chain(window, _watched(every, frozenset(columns), tally))
    if test is not None:
        found = filter(test, found)
    if key:
        kept = list(found)
        falling = query.sort.startswith("-")
        found = (kept[at] for at in ranked([row.get(key) for row in kept], falling=falling))
    found = _told(islice(found, query.limit), tally)
    return Answer(columns=tuple(columns), fields=names, rows=found, tally=tally)


def varying(spec: SweepSpec) -> list[str]:
    """Return the columns of the parameters in which the tasks of a sweep differ by design."""
    constant = {PARAM + name for name in spec.parameters}
    return [name for name in expected_columns(spec) if name.startswith(PARAM) and name not in constant]


def _columns(specs: Iterable[SweepSpec], window: Iterable[Row]) -> list[str]:
    names = dict.fromkeys(chain.from_iterable(expected_columns(spec) for spec in specs))
    for row in window:
        if not row.keys() <= names.keys():
            names.update(dict.fromkeys(row))
    return ordered(name for name in names if name not in METAS)


def _with_q_values(found: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows of one sweep with their q-values: then each is read before the first is told.

    A sweep among whose first rows there is no p-value is told as it is read, without.
    """
    first = list(islice(found, WINDOW_ROWS))
    if any(is_p_value(name) for row in first for name in row):
        first += found
        add_q_values(first)
    yield from chain(first, found)


def _counted(found: Iterable[Row], tally: Tally) -> Iterator[Row]:
    for row in found:
        tally.seen += 1
        yield row


def _watched(found: Iterable[Row], known: frozenset[str], tally: Tally) -> Iterator[Row]:
    """Yield the rows and note columns that come too late to have a place."""
    for row in found:
        if not row.keys() <= known:
            for name in row.keys() - known:
                tally.late.setdefault(name, str(row["meta.task"]))
        yield row


def _told(found: Iterable[Row], tally: Tally) -> Iterator[Row]:
    for row in found:
        tally.told += 1
        yield row
