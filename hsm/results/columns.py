"""The columns of results: `param.*`, `metric.*`, `analysis.*`, `meta.*`; their order and short names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from hsm.config.words import did_you_mean
from hsm.core.spec import SweepSpec
from hsm.results.errors import UnknownColumn

PARAM, METRIC, META = "param.", "metric.", "meta."
ANALYSIS = "analysis."
NAMESPACES = (META, PARAM, METRIC, ANALYSIS)
LEADING = ("meta.sweep", "meta.task", "meta.status")
TRAILING = (
    "meta.seed",
    "meta.generation",
    "meta.label",
    "meta.source",
    "meta.attempts",
    "meta.started_at",
    "meta.ended_at",
    "meta.wall_s",
    "meta.cause",
    "meta.exit_code",
    "meta.signal",
    "meta.max_rss_bytes",
    "meta.reuses",
    "meta.config_hash",
    "meta.path",
    "meta.reason",
)
COUNTS = (
    "meta.seed",
    "meta.generation",
    "meta.attempts",
    "meta.exit_code",
    "meta.signal",
    "meta.max_rss_bytes",
)
NUMBERS = ("meta.wall_s",)
METAS = frozenset((*LEADING, *TRAILING))
SHOWN_NAMES = 30


def expected_columns(spec: SweepSpec) -> list[str]:
    """Return the columns that a sweep has for sure, before any task is looked at."""
    axes = chain.from_iterable(axis.names for axis in spec.grid.axes) if spec.grid else ()
    space = spec.hunt.space if spec.hunt else ()
    metrics = [spec.hunt.objective.metric] if spec.hunt else []
    names = [*(PARAM + name for name in (*axes, *space, *spec.parameters)), *(METRIC + m for m in metrics)]
    return ordered(names)


def ordered(names: Iterable[str]) -> list[str]:
    """Return column names in the one order: who, parameters, metrics, the rest of what is known."""
    found = dict.fromkeys(names)
    params = [name for name in found if name.startswith(PARAM)]
    metrics = [name for name in found if name.startswith(METRIC)]
    analyses = [name for name in found if name.startswith(ANALYSIS)]
    return [*LEADING, *params, *metrics, *analyses, *TRAILING]


def resolve(name: str, columns: Sequence[str]) -> str:
    """Return the column that a name means: its whole name, or what follows `param.`, `metric.` or `meta.`.

    Raises:
        UnknownColumn: it means none, or more than one.
    """
    if name in columns:
        return name
    found = [space + name for space in NAMESPACES if space + name in columns]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownColumn(f"{name!r} may mean {' or '.join(found)}", hint="give the whole name")
    raise UnknownColumn(f"there is no column {name[:100]!r}", hint=_hint(name, columns))


def chosen(names: Iterable[str], columns: Sequence[str]) -> list[str]:
    """Return the columns that names and patterns such as `param.*` mean, each once, in the order given.

    Raises:
        UnknownColumn: a name means none, or more than one.
    """
    return list(dict.fromkeys(chain.from_iterable(_each(name, columns) for name in names)))


def _each(name: str, columns: Sequence[str]) -> Iterator[str]:
    if name == "*":
        yield from columns
    elif name in {f"{space}*" for space in NAMESPACES}:
        yield from (column for column in columns if column.startswith(name[:-1]))
    else:
        yield resolve(name, columns)


def _hint(name: str, columns: Sequence[str]) -> str:
    short = [column.partition(".")[2] for column in columns]
    near = did_you_mean(name, columns if "." in name else short)
    more = f" and {len(columns) - SHOWN_NAMES} more" if len(columns) > SHOWN_NAMES else ""
    known = f"there are {', '.join(columns[:SHOWN_NAMES])}{more}"
    return f"{near} There {known.removeprefix('there ')}" if near else known
