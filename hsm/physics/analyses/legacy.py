"""legacy-bssn: a predecessor's "BSSN" residual, kept as a benchmark under a name that says so.

√⟨(ρ + ∇²ρ)²⟩ of the last density, with differences of a unit step that are one-sided at the edges of the
array (`numpy.gradient`, twice along each axis). It is no constraint of any metric: a uniform density, which
satisfies every constraint, gives that density. It is here so that numbers published with it can be made
again; nothing in HSM is judged by it.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from hsm.physics.analyses.made import Made
from hsm.physics.measure.artifact import Artifact


def legacy_bssn(path: Path) -> Made:
    """Return the residual of a history's last density.

    Raises:
        UnreadableArtifact: the file is no finished history.
    """
    Artifact.read(path)  # that it is one
    with h5py.File(path, "r", locking=False) as file:
        rho = file["rho"][-1]
    return Made(metrics={"legacy_bssn_residual": residual(rho.astype(float))})


def residual(rho: NDArray[np.floating]) -> float:
    """Return the residual of a density."""
    bent = sum((np.gradient(np.gradient(rho, axis=a), axis=a) for a in range(rho.ndim)), np.zeros_like(rho))
    return float(np.sqrt(np.mean((rho + bent) ** 2)))
