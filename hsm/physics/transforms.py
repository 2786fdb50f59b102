"""The transforms between the stored band and the points, as compiled code (see `grid` for the storage).

Each axis is transformed alone, so that lines of the padded array that hold nothing are left out: three
quarters of the work of a full transform in two dimensions, 58 % in three. XLA transforms the last axis only;
the axes are turned so that as little as possible moves, and a field on the points therefore has its axes in
reverse order, (…, y, x). Nothing in the equation can tell, since the box is a cube and every filter depends
on |k|².

Large planes in single precision are the exception: turning one costs more than the lines that it saves, so
they are transformed whole, and their axes stay in order. `upright` knows.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

TURNED_BELOW = 256  # points per axis of a plane in single precision


def _is_whole(points: int, dimension: int, kind: np.dtype[Any]) -> bool:
    return dimension == 2 and points >= TURNED_BELOW and np.finfo(kind).bits == 32


def to_points(band: Array, points: int) -> Array:
    """Evaluate a band (M, …) on all the points (N, …); the result carries the gauge factor."""
    if _is_whole(points, band.ndim, band.dtype):
        return jnp.fft.ifftn(band, (points, points))
    field = jnp.fft.ifft(band, points)
    if band.ndim > 1:
        field = jnp.fft.ifft(jnp.moveaxis(field, -1, 0), points)
    if band.ndim > 2:
        field = jnp.fft.ifft(jnp.swapaxes(field, -1, -2), points)
    return field


def to_band(field: Array, modes: int) -> Array:
    """Truncate a gauged field (N, …), as `to_points` gives it, to M modes per axis.

    Lines with some m_i = −K are not zeroed.
    """
    if _is_whole(field.shape[0], field.ndim, field.dtype):
        return jnp.fft.fftn(field)[:modes, :modes]
    band = jnp.fft.fft(field)[..., :modes]
    if field.ndim > 2:
        band = jnp.fft.fft(jnp.swapaxes(band, -1, -2))[..., :modes]
    if field.ndim > 1:
        band = jnp.fft.fft(jnp.moveaxis(band, 0, -1))[..., :modes]
    return band


def upright(field: np.ndarray) -> np.ndarray:
    """Return a real or complex field that was computed on the points with its axes in order, on the host."""
    return field if _is_whole(field.shape[0], field.ndim, field.dtype) else field.T


def filtered(field: Array, symbol: Array) -> Array:
    """Multiply the spectrum of a real field (N, …) by a symbol in the layout of a real transform."""
    axes = tuple(range(field.ndim))
    return jnp.fft.irfftn(jnp.fft.rfftn(field) * symbol, s=field.shape, axes=axes)
