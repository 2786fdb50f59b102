"""The complex Ginzburg-Landau equation in exponax 0.2.0, as its users would write it, and mended.

exponax has no complex state, so its public API takes two real channels, with the dispersive part of the
diffusion in the nonlinear function. Its ETDRK4 takes the real part of its contour means, which is wrong for a
complex linear operator; `mended` puts the right coefficients into its class and gives it one complex channel.

    pip install --group bench        installs exponax beside HSM
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox
import exponax
import jax
import jax.numpy as jnp
import numpy as np
from exponax.etdrk import ETDRK4
from exponax.nonlin_fun import BaseNonlinearFun
from jax import Array

from hsm.physics.contour import circle_mean

HALF = 0.5  # of the modes: exact for a cubic term


class Cubic(BaseNonlinearFun):  # type: ignore[misc]
    """Two real channels: the cubic term, and b∇² that couples them."""

    b: float
    c: float
    laplacian: Array

    def __init__(self, dimension: int, points: int, laplacian: Array, b: float, c: float) -> None:
        super().__init__(dimension, points, dealiasing_fraction=HALF)
        self.b, self.c, self.laplacian = b, c, laplacian

    def __call__(self, u_hat: Array) -> Array:
        u = self.ifft(u_hat)
        rho = u[0] ** 2 + u[1] ** 2
        cubic = self.fft(jnp.stack([-rho * (u[0] - self.c * u[1]), -rho * (u[1] + self.c * u[0])]))
        swapped = jnp.stack([-u_hat[1], u_hat[0]])
        change: Array = cubic + self.b * self.laplacian * self.dealiasing_mask * swapped
        return change


class Public(exponax.BaseStepper):  # type: ignore[misc]
    """The public API: a subclass of exponax's stepper."""

    b: float
    c: float

    def __init__(self, dimension: int, length: float, points: int, h: float, b: float, c: float) -> None:
        self.b, self.c = b, c
        super().__init__(dimension, length, points, h, num_channels=2, order=4, num_circle_points=32)

    def _build_linear_operator(self, derivative_operator: Array) -> Array:
        return 1.0 + _laplacian(derivative_operator)

    def _build_nonlinear_fun(self, derivative_operator: Array) -> Cubic:
        laplacian = _laplacian(derivative_operator)
        return Cubic(self.num_spatial_dims, self.num_points, laplacian, self.b, self.c)


class ComplexCubic(equinox.Module):  # type: ignore[misc]
    """One complex channel: the cubic term, dealiased as exponax does it."""

    mask: Array
    gain: Array

    def __call__(self, u_hat: Array) -> Array:
        axes = tuple(range(1, u_hat.ndim))
        u = jnp.fft.ifftn(self.mask * u_hat, axes=axes)
        return self.mask * jnp.fft.fftn(-self.gain * (u.real**2 + u.imag**2) * u, axes=axes)


def mended(dimension: int, length: float, points: int, h: float, b: float, c: float) -> ETDRK4:
    """Return exponax's ETDRK4 on the complex operator 1 − (1+ib)k², with complex contour means."""
    m = np.fft.fftfreq(points, 1 / points)
    mesh = np.meshgrid(*[m] * dimension, indexing="ij")
    k2 = (2 * np.pi / length) ** 2 * sum(x**2 for x in mesh)
    mask = np.max(np.abs(mesh), axis=0) < points // 4
    operator = jnp.asarray(1 - (1 + 1j * b) * k2)[None]
    scheme = ETDRK4(h, operator, ComplexCubic(jnp.asarray(mask)[None], jnp.asarray(1 + 1j * c)))
    z = np.asarray(h * operator, np.complex128)
    q = h * circle_mean(lambda w: (np.exp(w / 2) - 1) / w, z)
    f1 = h * circle_mean(lambda w: (-4 - w + np.exp(w) * (4 - 3 * w + w**2)) / w**3, z)
    f2 = h * circle_mean(lambda w: (2 + w + np.exp(w) * (w - 2)) / w**3, z)
    f3 = h * circle_mean(lambda w: (-4 - 3 * w - w**2 + np.exp(w) * (4 - w)) / w**3, z)
    return _with_coefficients(scheme, [q, q, q, f1, f2, f3])


def _with_coefficients(scheme: ETDRK4, coefficients: list[np.ndarray]) -> ETDRK4:
    names = [f"_coef_{number}" for number in range(1, 7)]
    right = [jnp.asarray(value) for value in coefficients]
    replaced: ETDRK4 = equinox.tree_at(lambda tree: [getattr(tree, name) for name in names], scheme, right)
    return replaced


def _laplacian(derivative_operator: Array) -> Array:
    return jnp.sum(derivative_operator**2, axis=0, keepdims=True)


def repeated(steps: int) -> Callable[[Any, Array], Array]:
    """Return a compiled function of (stepper, state)."""
    compiled: Callable[[Any, Array], Array] = equinox.filter_jit(
        lambda stepper, u: exponax.repeat(stepper, steps)(u)
    )
    return compiled


def repeated_complex(steps: int) -> Callable[[Any, Array], Array]:
    """Return a compiled function of (mended scheme, spectrum (1, N, …))."""

    def run(scheme: ETDRK4, u_hat: Array) -> Array:
        return jax.lax.scan(lambda u, _: (scheme.step_fourier(u), None), u_hat, None, length=steps)[0]

    compiled: Callable[[Any, Array], Array] = equinox.filter_jit(run)
    return compiled


def single(tree: Any) -> Any:
    """Return the same numbers in single precision."""

    def cast(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array | np.ndarray):
            return leaf
        return leaf.astype({"f": np.float32, "c": np.complex64}.get(leaf.dtype.kind, leaf.dtype))

    return jax.tree.map(cast, tree)
