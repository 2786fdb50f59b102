"""The analysis `significance`: which results of a sweep are more than the best of many tries.

For every metric `NAME_p_value` the q-values of the sweep (`core.significance`). A result whose q-value is at
most LEVEL is a candidate, and no more: it was chosen for its score. It is confirmed by FRESH runs of its
parameters with other seeds, whose p-values, combined by Fisher's method, are at most LEVEL; where there are
too few, the runs that would confirm or refute it are named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hsm.core.significance import chance_of_best, fisher, is_p_value, q_value_of, q_values, why_no_candidate
from hsm.core.spec import Value
from hsm.results.columns import METRIC, PARAM
from hsm.results.rows import Row
from hsm.results.table import Results

LEVEL = 0.01
FRESH = 5
CANDIDATES = 10
SEED = "seed"


def significance(results: Results) -> Mapping[str, Any]:
    """Return, for each p-value of a sweep, what it can claim: a sentence, candidates, runs to confirm."""
    rows = list(results)
    names = [name.removeprefix(METRIC) for name in results.columns if name.startswith(METRIC)]
    return {name: _claim(name, rows) for name in names if is_p_value(name)}


def add_q_values(rows: Sequence[Row]) -> None:
    """Add `metric.NAME_q_value` to the rows of one sweep that have `metric.NAME_p_value`.

    A result that stands for several tasks was tested once.
    """
    for column in dict.fromkeys(name for row in rows for name in row if is_p_value(name)):
        if not column.startswith(METRIC):
            continue
        own = {str(row.get("meta.path")): row[column] for row in rows if column in row}
        q = dict(zip(own, q_values([_number(value) for value in own.values()]), strict=True))
        for row in rows:
            if column in row:
                row[q_value_of(column)] = q[str(row.get("meta.path"))]


def _claim(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    tested = {str(row.get("meta.path")): row for row in rows if _p(row, name) is not None}
    distinct = list(tested.values())
    q = q_values([_p(row, name) for row in distinct])
    ranked = sorted(zip(distinct, q, strict=True), key=lambda pair: _p(pair[0], name) or 0.0)
    candidates = [(row, value) for row, value in ranked if value is not None and value <= LEVEL]
    return {
        "claim": _sentence(name, ranked, len(candidates)),
        "tested": len(distinct),
        "not_scorable": sum(1 for row in rows if METRIC + name in row and _p(row, name) is None),
        "level": LEVEL,
        "candidates": [_candidate(name, row, value, distinct) for row, value in candidates[:CANDIDATES]],
        "combined": list(_combined(name, distinct)),
    }


def _sentence(name: str, ranked: Sequence[tuple[Row, float | None]], candidates: int) -> str:
    if not ranked:
        return f"No run has a {name}: nothing can be claimed."
    best = _p(ranked[0][0], name) or 0.0
    by_chance = (
        f"the smallest of {len(ranked)} p-values is {best:.2g}; chance alone gives one as small with a "
        f"probability of {chance_of_best(best, len(ranked)):.2g}"
    )
    if not candidates:
        return f"No candidate: {why_no_candidate(LEVEL)}; {by_chance}."
    some = "1 run is a candidate" if candidates == 1 else f"{candidates} runs are candidates"
    return f"{some}, to be confirmed with fresh seeds: {by_chance}."


def _candidate(name: str, row: Row, q: float, rows: Iterable[Row]) -> dict[str, Any]:
    own = _set_of(row)
    fresh = [other for other in rows if other is not row and _set_of(other) == own]
    seeds = sorted({_seed(other) for other in (row, *fresh)})
    found = {
        "task": row.get("meta.task"),
        "p": _p(row, name),
        "q": q,
        "params": json.loads(own),
        "seed": _seed(row),
        "fresh_seeds": [_seed(other) for other in fresh],
    }
    if len(fresh) < FRESH:
        wanted = list(range(seeds[-1] + 1, seeds[-1] + 1 + FRESH - len(fresh)))
        return {**found, "verdict": "not confirmed yet", "confirm": _runs(json.loads(own), wanted)}
    combined = fisher(_p(other, name) or 0.0 for other in fresh)
    verdict = "confirmed" if combined <= LEVEL else "refuted"
    return {**found, "verdict": verdict, "combined_p": combined}


def _runs(params: Mapping[str, Value], seeds: Sequence[int]) -> dict[str, Any]:
    """Return the part of a sweep file that runs a parameter set with these seeds, as a parameter `seed`."""
    return {"parameters": dict(params), "sweep": {"grid": {SEED: list(seeds)}}}


def _combined(name: str, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield the combined p-value of every set with enough seeds.

    It holds where the set was not chosen by these very runs: in a sweep made to confirm it.
    """
    sets: dict[str, list[Row]] = {}
    for row in rows:
        sets.setdefault(_set_of(row), []).append(row)
    for own, members in sets.items():
        if len(members) >= FRESH:
            combined = fisher(_p(row, name) or 0.0 for row in members)
            yield {"params": json.loads(own), "seeds": [_seed(row) for row in members], "p": combined}


def _set_of(row: Row) -> str:
    """Return the parameters of a row but for the seed, as JSON."""
    own = {name.removeprefix(PARAM): value for name, value in row.items() if name.startswith(PARAM)}
    own.pop(SEED, None)
    return json.dumps({name: value for name, value in own.items() if value is not None}, sort_keys=True)


def _seed(row: Row) -> int:
    own = row.get(PARAM + SEED)
    seed = own if isinstance(own, int) else row.get("meta.seed")
    return seed if isinstance(seed, int) else 0


def _p(row: Row, name: str) -> float | None:
    return _number(row.get(METRIC + name))


def _number(value: Value) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None  # type: ignore[arg-type, operator]
