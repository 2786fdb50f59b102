"""Quantule events: the lumps and the vortices of one field, as a table of fixed columns. Pure.

- A `blob` is a part of {ρ ≥ level} that outlasts `least` (`homology`): born at its maximum, it dies at the
  level at which it meets a higher one. radius: of the disc, or ball, as large as the blob half way between.
  The highest blob of the box never dies.
- A `vortex` (two dimensions) is a zero of ψ (`vortices`), with its charge; magnitude: ρ at the nearest point.

CSV: UTF-8, decimal points, empty where something does not apply, blobs first, the most persistent first.
"""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hsm.physics.measure.homology import Numbers, parts
from hsm.physics.measure.vortices import vortices
from hsm.physics.metrics import Field

HEADER = ("id", "type", "birth", "death", "persistence", "x", "y", "z", "radius", "magnitude", "charge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantule:
    """One row: levels and magnitude are densities, place and radius are lengths; None does not apply."""

    kind: str
    place: tuple[float, ...]
    magnitude: float
    birth: float | None = None
    death: float | None = None
    radius: float | None = None
    charge: int | None = None


def quantules(psi: Field, length: float, least: float) -> tuple[Quantule, ...]:
    """Return the quantules of a field (N, …) in a box of side `length`.

    Raises:
        MissingPackage: GUDHI is not installed.
    """
    rho = psi.real**2 + psi.imag**2
    found = [*_blobs(rho, length, least)]
    if psi.ndim == 2:
        found += _vortices(psi, rho, length)
    return tuple(found)


def _blobs(rho: Numbers, length: float, least: float) -> Iterator[Quantule]:
    spacing = length / rho.shape[0]
    for at, birth, death in parts(rho):
        if birth - (rho.min() if death is None else death) < least:
            continue
        half = (birth + (float(rho.min()) if death is None else death)) / 2
        volume = float(np.count_nonzero(component(rho >= half, at))) * spacing**rho.ndim
        yield Quantule(
            kind="blob",
            place=tuple(spacing * index for index in at),
            magnitude=birth,
            birth=birth,
            death=death,
            radius=math.sqrt(volume / math.pi) if rho.ndim == 2 else (volume * 0.75 / math.pi) ** (1 / 3),
        )


def _vortices(psi: Field, rho: Numbers, length: float) -> Iterator[Quantule]:
    spacing = length / psi.shape[0]
    for each in vortices(psi, length):
        i, j = (round(value / spacing) % psi.shape[0] for value in (each.x, each.y))
        yield Quantule(kind="vortex", place=(each.x, each.y), magnitude=float(rho[i, j]), charge=each.charge)


def component(above: NDArray[np.bool_], at: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the part of a set of cells that holds a cell; neighbours at corners too, on the torus."""
    part = np.zeros_like(above)
    part[at] = above[at]
    shifts = [shift for shift in product((-1, 0, 1), repeat=above.ndim) if any(shift)]
    axes = tuple(range(above.ndim))
    while True:
        grown = part.copy()
        for shift in shifts:
            grown |= np.roll(part, shift, axes)
        grown &= above
        if np.array_equal(grown, part):
            return part
        part = grown


def csv_text(rows: Sequence[Quantule]) -> str:
    """Return the table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for number, each in enumerate(rows, 1):
        place: list[float | None] = [*each.place, None, None]
        lasts = each.birth is not None and each.death is not None
        persistence = each.birth - each.death if lasts else None  # type: ignore[operator]
        cells = (each.birth, each.death, persistence, *place[:3], each.radius, each.magnitude, each.charge)
        writer.writerow([number, each.kind, *("" if cell is None else repr(cell) for cell in cells)])
    return text.getvalue()
