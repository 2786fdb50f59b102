"""The part of an equation that is stepped explicitly: N(v, t), the band of f(ψ) + S(x, t).

With a metric it also holds D(Δ_g − α∇²)ψ, what the metric adds to the diffusion αD∇² that the linear symbol
keeps (see `geometry`). Lines of the band with some m_i = −K are left as they come: the coefficients of every
integrator are zero there.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hsm.physics.equation import Nonlinear
from hsm.physics.parameters import Params, SourceKind
from hsm.physics.source import profile
from hsm.physics.transforms import to_band, to_points


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["nonlinear", "source", "source_omega"],
    meta_fields=["points"],
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """N(v, t) in flat space; what is off is None, so it costs nothing and compiles apart.

    source: (M, …) complex, amplitude/time; source_omega: scalar, radians/time; points: N.
    """

    nonlinear: Nonlinear
    source: Array | None
    source_omega: Array
    points: int

    def __call__(self, v: Array, t: Array) -> Array:
        """Return N of a band (M, …)."""
        return self.forced(to_band(self.nonlinear(to_points(v, self.points)), v.shape[0]), t)

    def forced(self, change: Array, t: Array) -> Array:
        """Add the source to the band of a change."""
        if self.source is None:
            return change
        angle = self.source_omega * t
        turn = jax.lax.complex(jnp.cos(angle), jnp.sin(angle)).astype(change.dtype)
        return change + self.source * turn


def rates(p: Params, real: np.dtype[np.floating]) -> Rates:
    """Build N of a parameter set, its arrays in the precision `real`."""
    grid, silent = p.grid, p.source_kind is SourceKind.NONE
    complex_ = np.result_type(real, np.complex64)
    return Rates(
        nonlinear=p.equation.nonlinear(grid, real),
        source=None if silent else jax.device_put(profile(p, grid).astype(complex_)),
        source_omega=jax.device_put(
            np.float64(p.source_omega)
        ),  # the angle grows with time: double precision
        points=grid.points,
    )
