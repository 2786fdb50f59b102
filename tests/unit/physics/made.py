"""Artifacts of fields whose scores are known, and such fields."""

from collections.abc import Sequence
from dataclasses import asdict
from math import tau
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsm.physics.measure.artifact import Artifact
from hsm.physics.metrics import Diagnostics, diagnose
from hsm.physics.outcome import Ending, completed
from hsm.physics.parameters import Params, read_params
from hsm.physics.record import Record, python_value

N = 64
L = 32.0
X, Y = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")
NOTHING = {name: np.zeros(0) for name in ("t", "mass", "rate")}


def artifact(
    psi: NDArray[Any],
    *,
    ending: Ending | None = None,
    seen: Sequence[Diagnostics] = (),
    epsilon: float = 2.0**-52,
    frames: Sequence[dict[str, float | None]] = (),
    **given: object,
) -> Artifact:
    """Return the artifact of a run that ended with a field; given: parameters, or another ending."""
    ending = completed(10, 50) if ending is None else ending
    p = read_params({"N": psi.shape[0], "L": L, "T": 10.0, "dim": psi.ndim, **given})
    figures = list(seen) or [diagnose(np.nan_to_num(psi), p.grid.reach)]
    own: dict[str, float | None] = {"mass": 1.0, "max_amplitude": 1.0, "free_energy": -1.0}
    return Artifact(
        params=p,
        status=ending.status,
        reason=ending.reason,
        psi=np.asarray(psi, np.complex128),
        epsilon=epsilon,
        frames=tuple(frames) or tuple({**own, **asdict(each)} for each in figures),
        balance=NOTHING,
    )


def finished(p: Params, psi: NDArray[Any], kept: Record, ending: Ending) -> Artifact:
    """Return the artifact of a run of one frame."""
    row = {name: python_value(np.float64(value)) for name, value in kept.row().items()}
    return Artifact(
        params=p,
        status=ending.status,
        reason=ending.reason,
        psi=psi,
        epsilon=2.0**-52,
        frames=(row,),
        balance=NOTHING,
    )


def k_squared(points: int = N, dimension: int = 2) -> NDArray[np.floating]:
    """Return |m|² of every mode."""
    m = np.fft.fftfreq(points, 1 / points)
    axes = [m.reshape([-1 if axis == at else 1 for axis in range(dimension)]) for at in range(dimension)]
    total: NDArray[np.floating] = sum((axis**2 for axis in axes), np.zeros((points,) * dimension))
    return total


def gaussian_field(seed: int, power: NDArray[np.floating]) -> NDArray[np.complexfloating]:
    """Return a complex Gaussian field of mean square 1 with a spectrum, which is scaled."""
    rng = np.random.default_rng(seed)
    draws = rng.normal(size=power.shape) + 1j * rng.normal(size=power.shape)
    field = np.fft.ifftn(np.sqrt(power) * draws)
    return field / np.sqrt(np.mean(np.abs(field) ** 2))


def plane_wave(x: int, y: int) -> NDArray[np.complexfloating]:
    """Return the plane wave of these mode numbers."""
    return np.exp(1j * tau * (x * X + y * Y) / N)


RINGS = (2, 3, 5, 7, 11)


def ringed(seed: int, gain: float, *, points: int = 128, noisy: bool = False) -> NDArray[np.complexfloating]:
    """Return a field whose density has rings at ln 2 … ln 11, 1 + gain times the background in power.

    noisy: the background is that of a Gaussian field, else its modulus is given and its phases are of chance.
    The phase of the field is of chance at every point, so that its own spectrum has no rings.
    """
    rng = np.random.default_rng(seed)
    m2 = k_squared(points)
    power = 1 / (1 + m2 / (points / 8) ** 2)
    for prime in RINGS:
        power = np.where(abs(np.sqrt(m2) - points / 10.24 * np.log(prime)) <= 0.5, power * (1 + gain), power)
    waves = np.fft.fftn(rng.normal(size=power.shape))
    waves = np.sqrt(power) * (waves if noisy else waves / np.abs(waves))
    bumps = np.fft.ifftn(waves).real
    rho = np.maximum(1 + 0.2 * bumps / bumps.std(), 0.01)
    field: NDArray[np.complexfloating] = np.sqrt(rho) * np.exp(1j * tau * rng.random(power.shape))
    return field
