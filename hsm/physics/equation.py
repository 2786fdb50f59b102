"""What an equation is: ∂_t ψ = L ψ + f(ψ), a linear symbol and a nonlinear function.

An equation is a frozen dataclass that derives from `Equation`. Its fields, made with `rules.parameter`, are
the parameters that users write; its two methods say the rest. The solver adds what every equation may have:
sources, dealiasing, time stepping and, where `diffusion` is not 0, the coupling to a metric.

The file of an equation is found through the entry point group `hsm.models` (see `models`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from hsm.physics.grid import ComplexField, Grid

if TYPE_CHECKING:
    from jax import Array


class Nonlinear(Protocol):
    """f(ψ) on the points, a pytree: its numbers are traced, its structure is part of what is compiled.

    It must turn with the phase of its argument, f(ψ e^{iθ(x)}) = f(ψ) e^{iθ(x)}, as every function of |ψ|
    times ψ does: the field that it gets carries the gauge factor of `grid`. `jax.tree_util.Partial` makes one
    out of a function and its numbers.
    """

    def __call__(self, psi: "Array") -> "Array": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation(ABC):
    """∂_t ψ = L ψ + f(ψ); `degree` is the degree of f as a polynomial in ψ and ψ*."""

    degree: ClassVar[int] = 3

    @abstractmethod
    def linear_symbol(self, grid: Grid) -> ComplexField:
        """Return L for every stored mode in double precision, shape (M, …), 1/time."""

    @abstractmethod
    def nonlinear(self, grid: Grid, real: np.dtype[np.floating]) -> Nonlinear:
        """Return f, with its numbers as arrays of the precision `real`."""

    @property
    def diffusion(self) -> complex:
        """The coefficient of ∇² in L, on which a metric acts, length²/time; 0: it cannot be coupled."""
        return 0

    @property
    def density(self) -> float:
        """The scale of |ψ|² that the equation sustains."""
        return 1.0

    def rate(self, density: float) -> complex | None:
        """Return f(ψ)/ψ of a uniform field, 1/time; None: it is found by evaluating f."""
        return None

    def wave_density(self, k_squared: float) -> float | None:
        """Return |ψ|² of the plane wave of a wave number, not positive where none exists; None: unknown."""
        return None

    def free_energy(self, psi: ComplexField, grid: Grid) -> float | None:
        """Return the functional that falls where the equation is a gradient flow, of a field on the points.

        In flat space, without source, as an integral over the box; None: there is none.
        """
        return None

    @property
    def is_gradient_flow(self) -> bool:
        """Whether `free_energy` can never rise for these parameters: then it is a Lyapunov functional."""
        return False

    def conflicts(self, length: float) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield (parameters involved, problem) for every broken rule between parameters."""
        yield from ()
