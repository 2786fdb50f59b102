"""What is kept of a saved frame: its density and one row of the time series.

A record is the same whether it comes from the run that goes on or out of a checkpoint, so a run that was
interrupted leaves the same history as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from hsm.physics.metrics import Diagnostics
from hsm.physics.parameters import Params

if TYPE_CHECKING:
    from hsm.physics.simulate import Frame  # loads JAX, which who reads a history does not need


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One saved time.

    mass: ∫|ψ|². max_amplitude: max |ψ|. free_energy: of the equation, None where it has none and in curved
    space. cg_iterations: of the constraint solver since the record before. rho: (N, …) float32.
    """

    t: float
    step: int
    mass: float
    max_amplitude: float
    free_energy: float | None
    cg_iterations: int
    figures: Diagnostics
    rho: NDArray[np.float32]

    def row(self) -> dict[str, float]:
        """Return the value of every time series, NaN where there is none."""
        values = {name: getattr(self, name) for name in OWN}
        values |= {f.name: getattr(self.figures, f.name) for f in fields(Diagnostics)}
        return {name: math.nan if value is None else value for name, value in values.items()}

    def packed(self) -> bytes:
        """Return the record as bytes; `unpacked` is the inverse, bit for bit."""
        entry = np.zeros((), packing(self.rho.shape))
        for name, value in self.row().items():
            entry[name] = value
        entry["rho"] = self.rho
        return entry.tobytes()

    @classmethod
    def unpacked(cls, content: bytes, shape: tuple[int, ...]) -> Self:
        """Return the record of these bytes; `shape` is that of the density."""
        entry = np.frombuffer(content, packing(shape))[0]
        return cls.of_row({name: entry[name] for name in COLUMNS}, np.array(entry["rho"]))

    @classmethod
    def of_row(cls, row: Mapping[str, np.generic], rho: NDArray[np.float32]) -> Self:
        """Return the record of a value of every time series, and a density."""
        values = {name: python_value(value) for name, value in row.items()}
        figures = Diagnostics(**{f.name: values.pop(f.name) for f in fields(Diagnostics)})
        return cls(figures=figures, rho=rho, **values)


OWN: Mapping[str, type[np.generic]] = {
    "t": np.float64,
    "step": np.int64,
    "mass": np.float64,
    "max_amplitude": np.float64,
    "free_energy": np.float64,
    "cg_iterations": np.int64,
}
COLUMNS: Mapping[str, type[np.generic]] = {
    **OWN,
    **{f.name: np.int64 if f.type is int else np.float64 for f in fields(Diagnostics)},
}


def packing(shape: tuple[int, ...]) -> np.dtype[np.void]:
    """Return how a record lies in a file."""
    series = [(name, np.dtype(kind).newbyteorder("<")) for name, kind in COLUMNS.items()]
    return np.dtype([*series, ("rho", "<f4", shape)])


def python_value(value: np.generic) -> Any:
    """Return a value of a time series as a number of Python, NaN as None."""
    number = value.item()
    return None if isinstance(number, float) and math.isnan(number) else number


def record(params: Params, frame: Frame, cg_iterations: int) -> Record:
    """Return what is kept of a frame."""
    rho = frame.psi.real**2 + frame.psi.imag**2
    figures = frame.figures
    energy = None if params.kappa else params.equation.free_energy(frame.psi, params.grid)
    return Record(
        t=frame.t,
        step=frame.step,
        mass=figures.mean_rho * params.L**params.dim,
        max_amplitude=math.sqrt(figures.max_rho),
        free_energy=energy,
        cg_iterations=cg_iterations,
        figures=figures,
        rho=rho.astype(np.float32),
    )
