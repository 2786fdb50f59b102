"""Persistent homology of a density on the torus, by a cubical complex: what outlasts which levels. Pure.

Superlevel sets {ρ ≥ level}, all axes periodic, coefficients Z2, computed by GUDHI (extra `hsm[topology]`). A
feature is born at the level at which it appears, coming from above, and dies at a lower one; what never dies
is essential: a torus has 1, 2, 1 such features in two dimensions and 1, 3, 3, 1 in three.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]


class MissingPackage(Exception):
    """GUDHI is not installed."""

    def __init__(self) -> None:
        super().__init__("persistent homology needs GUDHI: pip install 'hsm[topology]'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A connected part (dimension 0), a loop (1) or a void (2); levels of ρ; death None: essential."""

    dimension: int
    birth: float
    death: float | None

    @property
    def persistence(self) -> float:
        """Over how much of ρ it lasts; without end where it is essential."""
        return math.inf if self.death is None else self.birth - self.death


def diagram(rho: Numbers) -> tuple[Feature, ...]:
    """Return the features of a density (N, …), by dimension, the most persistent first.

    Raises:
        MissingPackage: GUDHI is not installed.
    """
    complex_ = _complex(rho)
    complex_.compute_persistence(homology_coeff_field=2, min_persistence=0)
    found = [
        Feature(dimension=d, birth=-float(birth), death=None if math.isinf(death) else -float(death))
        for d in range(rho.ndim + 1)
        for birth, death in complex_.persistence_intervals_in_dimension(d)
    ]
    return tuple(sorted(found, key=lambda each: (each.dimension, -each.persistence, -each.birth)))


def parts(rho: Numbers) -> tuple[tuple[tuple[int, ...], float, float | None], ...]:
    """Return the connected parts of superlevel sets: cell of the maximum, its level, and that of the death.

    The most persistent first; None: it never dies. Those that are born and die at one level are left out.

    Raises:
        MissingPackage: GUDHI is not installed.
    """
    complex_, shape = _complex(rho), rho.shape
    complex_.compute_persistence(homology_coeff_field=2, min_persistence=0)
    regular, essential = complex_.cofaces_of_persistence_pairs()

    def cell(flat: int) -> tuple[int, ...]:
        return tuple(int(index) for index in np.unravel_index(flat, shape, order="F"))

    lasting = [(cell(born), cell(died)) for born, died in (regular[0] if regular else ())]
    found: list[tuple[tuple[int, ...], float, float | None]] = [
        (born, float(rho[born]), float(rho[died])) for born, died in lasting if rho[born] > rho[died]
    ]
    found += [(born, float(rho[born]), None) for born in map(cell, essential[0])]
    return tuple(sorted(found, key=lambda each: -math.inf if each[2] is None else each[2] - each[1]))


def _complex(rho: Numbers) -> Any:
    """Return GUDHI's complex of −ρ."""
    try:
        import gudhi
    except ImportError as error:
        raise MissingPackage from error
    cells = -np.asarray(rho, np.float64)
    return gudhi.PeriodicCubicalComplex(top_dimensional_cells=cells, periodic_dimensions=[True] * cells.ndim)


def betti(features: Sequence[Feature], level: float, dimension: int) -> int:
    """Return the number of features of a dimension that are there at a level."""
    return sum(
        each.dimension == dimension and each.birth >= level and (each.death is None or each.death < level)
        for each in features
    )


def summary(features: Sequence[Feature], least: float) -> Mapping[str, float]:
    """Return, for each dimension, how many features outlast `least`, and their total persistence.

    Essential ones do not count.
    persistence_entropy: −Σ p ln p over their shares of the total, nats.
    """
    kept = [each for each in features if each.death is not None and each.persistence >= least]
    total = sum(each.persistence for each in kept)
    shares = [each.persistence / total for each in kept] if total > 0 else []
    found: dict[str, float] = {}
    for dimension in sorted({each.dimension for each in features}):
        own = [each.persistence for each in kept if each.dimension == dimension]
        found[f"features_{dimension}"] = len(own)
        found[f"total_persistence_{dimension}"] = float(sum(own))
    entropy = -sum(share * math.log(share) for share in shares if share > 0)
    return {**found, "persistence_entropy": entropy}
