"""The largest stable time step of a parameter set."""

import math

from hsm.physics.parameters import InitialKind, Params, SourceKind


def largest_step(p: Params) -> float:
    """Return the largest time step accepted."""
    limit = 0.3 / (_density_scale(p) * max(1.0, math.hypot(1, getattr(p.equation, "c", 0)) / math.sqrt(5)))
    forced = p.source_kind is not SourceKind.NONE
    return min(limit, 1 / abs(p.source_omega)) if forced and p.source_omega else limit


def _density_scale(p: Params) -> float:
    """Return the largest of the densities that gain, source and initial field sustain, at least 1.

    A dense start decays at once, and a third of its peak is what the measured limits ask for; the peak of
    noise is about ten times its mean.
    """
    peak = {InitialKind.NOISE: 10 * p.init_amp**2, InitialKind.UNIFORM: p.init_amp**2}.get(p.init_kind, 0.0)
    return max(1.0, p.equation.density, p.source_density, peak / 3)
