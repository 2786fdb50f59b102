"""Mistakes that codes for this kind of model have made, each shown absent."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from hsm.physics.hamiltonian import laplacian, violation
from hsm.physics.plan import plan
from hsm.physics.simulate import segments
from hsm.physics.status import Status
from tests.unit.physics.solving import Figure, every_term, last_frame, make, relative, solve

pytestmark = pytest.mark.integration


def test_metric_acts_on_the_field() -> None:
    """A geometry that is computed and then ignored would change nothing."""
    p = every_term(2)
    flat, curved = (last_frame(replace(p, kappa=kappa), 0.05, 20) for kappa in (0.0, 0.8))
    assert flat.omega is None
    assert curved.omega is not None
    assert np.ptp(curved.omega) > 0.1
    assert relative(curved.psi, flat.psi) > 1e-3


def test_dense_regions_are_where_space_is_larger() -> None:
    """Ω grows with the density: gravity attracts."""
    frame = last_frame(every_term(2, kappa=0.8), 0.05, 20)
    assert frame.omega is not None
    rho = np.abs(frame.psi) ** 2
    assert np.corrcoef(rho.ravel(), frame.omega.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("mode", ["frozen", "algebraic"])
def test_constraint_that_does_not_hold_is_seen(mode: str, figure: Figure) -> None:
    """h_norm is a measurement: with a frozen metric or none that was solved for it is far from zero."""
    p = every_term(2, kappa=0.5, metric=mode, init_amp=0.3, T=4, save_every=2, h=0.1)
    last = list(segments(plan(p)))[-1]
    assert last.frame is not None
    assert last.frame.figures.h_norm is not None
    figure(f"h_norm with the metric {mode}", f"{last.frame.figures.h_norm:.1e}")
    assert last.frame.figures.h_norm > 1e-3
    assert last.ending is not None
    assert last.ending.status is Status.CONSTRAINT_VIOLATED


def test_constraint_is_solved_for_a_density_without_zero_mean(figure: Figure) -> None:
    """A positive source alone has no periodic solution; with the expansion term its mean vanishes."""
    frame = last_frame(every_term(2, kappa=0.8, metric="stage"), 0.05, 20)
    assert frame.omega is not None
    p, x = every_term(2, kappa=0.8), np.log(frame.omega)
    rho = np.abs(frame.psi) ** 2 + p.rho_vac
    source = p.kappa * (rho.mean() * np.exp(2 * x) - rho * np.exp(-x))
    figure("mean over rms of the source of the metric", f"{abs(source.mean()) / np.std(source):.1e}")
    assert abs(source.mean()) < 1e-8 * np.std(source)
    assert np.abs(source - laplacian(x, p.L)).max() < 1e-7 * np.abs(source).max()
    assert violation(p, frame.psi, x).own < 1e-9


def test_non_local_term_is_neither_local_nor_a_mean_field() -> None:
    """The Gaussian has its width in units of length: near zero it is the local term, then it is not."""
    fields = [
        solve(make(eta=1.0, sigma=sigma, init_amp=0.5, c=0.5), 0.1, 20) for sigma in (1e-3, 1.0, 2.0, 4.0)
    ]
    local = solve(make(eta=0.0, init_amp=0.5, c=0.5), 0.1, 20)
    assert relative(fields[0], local) < 1e-6
    apart = [relative(one, other) for one, other in pairwise(fields)]
    assert min(apart) > 1e-3


def test_seed_and_source_reach_the_run() -> None:
    """They are parameters, not constants of the file."""
    one, other = (solve(every_term(2, seed=seed), 0.1, 10) for seed in (1, 2))
    assert relative(one, other) > 0.1
    pushed = solve(every_term(2, seed=1, source_s0=0.3), 0.1, 10)
    assert relative(pushed, one) > 0.01
