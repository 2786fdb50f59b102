"""The transforms between the stored band and the points, as compiled code (see `grid` for the storage).

Lines of the padded array that hold nothing are not transformed, one axis after the other.
"""

import jax.numpy as jnp
from jax import Array


def to_points(band: Array, points: int) -> Array:
    """Evaluate a band (M, …) on all the points, shape (N, …); the result carries the gauge factor."""
    return jnp.fft.ifftn(band, s=(points,) * band.ndim)


def to_band(field: Array, modes: int) -> Array:
    """Truncate a gauged field (N, …) to M modes per axis; lines with some m_i = −K are not zeroed."""
    return jnp.fft.fftn(field)[(slice(modes),) * field.ndim]


def filtered(field: Array, symbol: Array) -> Array:
    """Multiply the spectrum of a real field (N, …) by a symbol in the layout of a real transform."""
    axes = tuple(range(field.ndim))
    return jnp.fft.irfftn(jnp.fft.rfftn(field) * symbol, s=field.shape, axes=axes)
