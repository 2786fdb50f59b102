"""The order of cells: missing ones last, then numbers, then texts, then the rest by their JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from hsm.core.spec import Value


def ranked(cells: Sequence[Value], *, falling: bool = False) -> list[int]:
    """Return the places of the cells in rising (or falling) order. Equal cells keep theirs."""
    there = [at for at, cell in enumerate(cells) if not _is_missing(cell)]
    missing = [at for at, cell in enumerate(cells) if _is_missing(cell)]
    there.sort(key=lambda at: _key(cells[at]), reverse=falling)
    return there + missing


def _is_missing(cell: Value) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _key(cell: Value) -> tuple[int, float | int, str]:
    if isinstance(cell, int | float):
        return 0, cell, ""
    return (1, 0, cell) if isinstance(cell, str) else (2, 0, json.dumps(cell, sort_keys=True))
