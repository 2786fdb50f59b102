"""Exact solutions and limits of the equation in a curved space."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from hsm.physics import gravity
from hsm.physics.exponential import State
from hsm.physics.gravity import Curved, planned
from hsm.physics.hamiltonian import laplacian
from hsm.physics.parameters import Params
from hsm.physics.plan import plan
from hsm.physics.simulate import advance, segments
from hsm.physics.status import Status
from tests.unit.physics.solving import (
    Figure,
    developed,
    every_term,
    last_frame,
    make,
    order,
    relative,
    run,
    shown,
    sncgl,
    solve,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("dimension", "mode"),
    [(2, "stage"), (2, "extrapolated"), (2, "frozen"), (2, "algebraic"), (3, "stage"), (3, "extrapolated")],
)
def test_plane_wave_is_exact_in_every_metric(dimension: int, mode: str, figure: Figure) -> None:
    """A uniform density leaves space flat, so the frequency is that of flat space, for every share η."""
    for eta in (0.3, 1.0):
        wave = {"init_kind": "plane_wave", "init_mode_x": 1, "init_mode_y": -1 if dimension == 2 else 0}
        p = every_term(dimension, eta=eta, kappa=0.8, metric=mode, **wave)
        equation = sncgl(p)
        k2 = sum(m**2 for m in p.init_modes) * (2 * np.pi / p.L) ** 2
        pull = equation.chi * np.expm1(-(equation.ell**2) * k2 / 2)
        omega = equation.b * k2 + equation.c * (1 - k2 + pull) - equation.d_chi * pull
        exact = solve(p, 0.05, 0) * np.exp(-1j * omega * 2)
        error = np.abs(solve(p, 0.02, 100) - exact).max()
        figure(f"plane wave, {dimension}-D, metric {mode}, eta = {eta:g}: error", f"{error:.1e}")
        assert error < 1e-7


@pytest.mark.parametrize("kappa", [0.3, 1.0])
def test_growth_about_the_uniform_state_does_not_depend_on_the_metric(kappa: float, figure: Figure) -> None:
    """∇² of a uniform field is zero, so a first-order change of the metric acts at second order only."""
    p = every_term(2, b=2, c=-1, chi=0, kappa=kappa, metric="stage")
    k = 2 * np.pi / p.L
    gamma = 0.7 + 0.3 * np.exp(-(k**2) / 2)
    matrix = np.array([[-2 * gamma - k**2, 2 * k**2], [2 * gamma - 2 * k**2, -(k**2)]])
    values, vectors = np.linalg.eig(matrix)
    rate, vector = values.max(), vectors[:, np.argmax(values)]
    shape = np.cos(k * p.grid.mesh()[0])
    small = 1e-6
    begin = 1 + small * (vector[0] + 1j * vector[1]) * shape
    end = solve(p, 0.05, 40, begin) * np.exp(-2j)
    grown = 2 * np.mean((end - end.mean()) * shape) / small
    error = abs(grown / ((vector[0] + 1j * vector[1]) * np.exp(2 * rate)) - 1)
    figure(f"linear growth with kappa = {kappa}, rate {rate:+.4f}: relative error", f"{error:.1e}")
    assert error < 1e-5


@pytest.mark.parametrize("dimension", [2, 3])
def test_weak_coupling_meets_the_flat_solver(dimension: int, figure: Figure) -> None:
    """The distance from the flat solution is linear in κ, in the metric and in the field."""
    flat = every_term(dimension)
    begin = developed(flat, 0.1, 60)
    plain = solve(flat, 0.05, 20, begin)
    kappas, apart, bent = (1e-4, 1e-3, 1e-2), [], []
    for kappa in kappas:
        frame = last_frame(replace(flat, kappa=kappa, metric_tol=1e-9), 0.05, 20, begin)
        assert frame.omega is not None
        apart.append(relative(frame.psi, plain))
        bent.append(float(np.abs(frame.omega - 1).max()))
    slopes = order(kappas, apart), order(kappas, bent)
    title = f"coupling to 0, {dimension}-D, kappa = 1e-4, 1e-3, 1e-2: slopes of |psi - flat| and |Omega - 1|"
    figure(title, f"{slopes[0]:.3f}, {slopes[1]:.3f}; {shown(apart)}; {shown(bent)}")
    assert all(0.97 < slope < 1.03 for slope in slopes)


def test_background_that_is_not_the_mean_does_not_become_flat() -> None:
    """With a constant ρ_ref, κ → 0 gives Ω → (ρ̄/ρ_ref)^{1/3}, not 1."""
    p = every_term(2, chi=0, kappa=1e-5, rho_ref=0.5, init_kind="uniform", init_amp=1.0, metric="stage")
    frame = last_frame(p, 0.05, 5)
    assert frame.omega is not None
    expected = ((np.abs(frame.psi) ** 2).mean() + p.rho_vac) / 0.5
    assert np.abs(frame.omega - expected ** (1 / 3)).max() < 1e-6


@pytest.mark.parametrize("dimension", [2, 3])
def test_manufactured_coupled_solution_is_kept(dimension: int, figure: Figure) -> None:
    """ψ = A(x)e^{iωt} with the source that makes it exact, its metric chosen first: order four to it."""
    steps = (10, 20, 40) if dimension == 2 else (5, 10, 20)
    errors = [_kept(dimension, count) for count in steps]
    slope = order([1 / count for count in steps], errors)
    figure(f"manufactured coupled solution, {dimension}-D: order; errors", f"{slope:.2f}; {shown(errors)}")
    assert 3.8 <= slope <= 4.3
    assert errors[-1] < 1e-6


def _kept(dimension: int, count: int) -> float:
    source = {"source_omega": 1.3, "rho_ref": 1.0}
    p = every_term(dimension, b=1.5, c=-0.7, eta=0.3, chi=0, kappa=0.5, metric="stage", **source)
    prepared = plan(p)
    field, push = _manufactured(p)
    steepest = float((np.exp(-2 * _chosen(p)) if dimension == 2 else _chosen(p) ** -4).max())
    cuts = replace(prepared.schedule, h=1 / count)
    main = replace(prepared, schedule=cuts).program(planned(steepest)).main
    assert isinstance(main, Curved)
    main = replace(main, rates=replace(main.rates, source=jnp.asarray(prepared.grid.band(push))))
    state = State(
        v=jnp.asarray(prepared.grid.band(field)),
        past=(jnp.asarray(np.exp(_chosen(p)) if dimension == 2 else _chosen(p)),),
    )
    end, _, toll = advance(main, state, np.int64(0), np.int64(count))
    assert int(toll.failures) == 0
    return relative(prepared.grid.field(np.asarray(end.v)), field * np.exp(1.3j))


def _chosen(p: Params) -> np.ndarray:
    """Return the metric field that the manufactured solution has."""
    unit = 2 * np.pi / p.L
    x, y, *rest = p.grid.mesh()
    bump = (0.06 if p.dim == 2 else 0.004) * np.cos(unit * x + 0.4) * np.cos(unit * y)
    for z in rest:
        bump = bump + 0.002 * np.sin(unit * z)
    return np.asarray(bump + (0 if p.dim == 2 else 1))


def _manufactured(p: Params) -> tuple[np.ndarray, np.ndarray]:
    """Return A(x), whose density needs the chosen metric, and the source profile iωA − (right-hand side)."""
    x = _chosen(p)
    bend = laplacian(x, p.L)
    if p.dim == 2:
        rho = (np.exp(2 * x) - bend / p.kappa) * np.exp(x)
    else:
        rho = (x**5 - 4 * bend / p.kappa) * x**3
    phase = (0.1 if p.dim == 2 else 0.02) * np.sin(2 * np.pi * p.grid.mesh()[0] / p.L)
    a = np.sqrt(rho - p.rho_vac) * np.exp(1j * phase)

    def flat(field: np.ndarray) -> np.ndarray:
        return laplacian(field.real, p.L) + 1j * laplacian(field.imag, p.L)

    bent = flat(a) * np.exp(-2 * x) if p.dim == 2 else (flat(x * a) - a * bend) / x**5
    density = np.abs(a) ** 2
    k2 = (2 * np.pi * np.fft.fftfreq(p.N, p.L / p.N)) ** 2
    whole = sum(k2.reshape([-1 if axis == n else 1 for axis in range(p.dim)]) for n in range(p.dim))
    blurred = np.fft.ifftn(np.fft.fftn(density) * (0.7 + 0.3 * np.exp(-whole / 2))).real
    right = a + (1 + 1.5j) * bent - (1 - 0.7j) * blurred * a
    return a, 1.3j * a - right


def test_share_of_implicit_diffusion_follows_a_deepening_metric() -> None:
    """Vortices form out of noise, Ω⁻² grows, and α is planned anew without a mark on the solution."""
    p = every_term(2, kappa=0.6, init_amp=0.3, T=8, save_every=4, h=0.05, metric_tol=1e-8)
    parts = list(segments(plan(p)))
    alphas = [part.checkpoint().alpha for part in parts]
    assert len(set(alphas)) > 1
    last = parts[-1].frame
    assert last is not None
    finer = list(segments(plan(replace(p, h=0.025))))[-1].frame
    assert finer is not None
    assert relative(last.psi, finer.psi) < 1e-4
    assert last.figures.h_norm is not None
    assert last.figures.h_norm < 1e-4


def test_metric_that_moved_unforeseen_is_solved_for_at_every_stage() -> None:
    """Value for value the step of the first steps; where the metric moved evenly its cubic is used."""
    p = every_term(2, kappa=0.6, init_amp=0.8, rho_ref=1.0)
    begin = plan(p).first()
    program = plan(p).program(begin.alpha)
    assert isinstance(program.main, Curved)
    assert isinstance(program.starter, Curved)
    y = begin.arrays["past"][0]
    for shares, same in (((1, 1, 1, 1, 1), False), ((1, 1, 1, 1.3, 1), True), ((1, 1, 1, 0.7, 1), True)):
        past = tuple(jnp.asarray(share * y) for share in shares)
        state = State(v=jnp.asarray(begin.arrays["v"]), past=past)
        foreseen, by_stage = (
            advance(stepper, state, np.int64(9), np.int64(1))[0]
            for stepper in (program.main, program.starter)
        )
        assert np.array_equal(foreseen.v, by_stage.v) is same


def test_metric_that_is_foreseen_stays_positive() -> None:
    """The cubic through a metric that falls steeply crosses zero, where Ω⁻² has no bound."""
    past = tuple(jnp.full((1, 1), value) for value in (0.2, 0.8, 1.0, 1.0))
    for weights in (gravity.HALF, gravity.AHEAD):
        assert sum(weights * [0.2, 0.8, 1.0, 1.0]) < 0
        assert gravity._continued(weights, past).item() == pytest.approx(0.1)
    ahead, guess = gravity._ahead(past, jnp.full((1, 1), 1.0))
    assert (ahead.item(), guess.item()) == (pytest.approx(0.1), pytest.approx(0.1))


def test_a_solve_starts_from_the_quartic_through_the_last_five_metrics() -> None:
    """Values of a quartic are continued exactly, those of a cubic by what the later stages get as well."""
    t = np.arange(0.0, -5.0, -1.0)
    for degree in (3, 4):
        known = [jnp.full((1, 1), value) for value in 1 + 0.003 * (t + 6) ** degree / 6**degree]
        foreseen, _ = gravity._ahead(tuple(known[1:]), known[1])
        ahead, guess = gravity._ahead(tuple(known[:4]), foreseen)
        assert guess.item() == pytest.approx(1 + 0.003 * 7**degree / 6**degree, abs=1e-14)
        assert (abs(ahead - guess).item() < 1e-14) is (degree == 3)


def test_steps_too_long_for_a_strong_coupling_are_named_and_automatic_ones_are_not() -> None:
    """They are stable, so only their error tells; `auto` is shorter where space bends more."""
    given = {"N": 64, "L": 24, "T": 12, "kappa": 1.0, "init_amp": 0.3, "dtype": "f32"}
    long, auto = (list(segments(plan(make(**given, **more))))[-1] for more in ({"h": 0.25}, {}))
    assert long.ending is not None
    assert long.ending.status is Status.UNDERRESOLVED_TIME
    assert long.t == pytest.approx(10)
    assert auto.ending is not None
    assert auto.ending.status is Status.OK


def test_metric_of_a_large_plane_in_single_precision_lies_over_its_density() -> None:
    """Its transforms keep the order of the axes, which others reverse; a field without symmetries tells."""
    p = make(N=256, L=40.0, T=0.2, kappa=0.3, h=0.1, save_every=0.1, dtype="f32", init_amp=0.5)
    frames = [part.frame for part in segments(plan(p)) if part.frame is not None]
    norms = [frame.figures.h_norm for frame in frames]
    assert len(norms) == 3
    assert all(norm is not None and norm < 1e-4 for norm in norms)


def test_cubic_quintic_is_simulated_in_a_curved_space() -> None:
    """A metric needs the diffusion only."""
    p = make(model="cubic-quintic", kappa=0.3, metric="stage", init_kind="vortex_lattice", init_cells=1)
    last = run(p, 0.1, 5)[-1].frame
    assert last is not None
    assert last.omega is not None
    assert 0.01 < np.ptp(last.omega) < 1
    assert plan(p).first().alpha > 1


@pytest.mark.parametrize("dimension", [2, 3])
def test_coupled_problem_converges_spectrally_in_space(dimension: int, figure: Figure) -> None:
    """With the metric by stage the error against a fine grid falls faster than any power of the points."""
    length, finest, ladder = (20.0, 96, (32, 48, 64)) if dimension == 2 else (8.0, 48, (16, 24, 32))
    given = {"L": length, "init_k0": 0.4 if dimension == 2 else 0.5, "kappa": 0.5, "metric": "stage"}
    fields = {n: _on(every_term(dimension, N=n, **given), ladder[0]) for n in (*ladder, finest)}
    errors = [relative(fields[n], fields[finest]) for n in ladder]
    grid = ", ".join(str(n) for n in ladder)
    figure(f"coupled resolution, {dimension}-D, N = {grid} against {finest}: error", shown(errors))
    first, second = (order(ladder[i : i + 2], errors[i : i + 2]) for i in (0, 1))
    assert second < -6
    assert second < first
    assert errors[-1] < 1e-4


def _on(p: Params, points: int) -> np.ndarray:
    """Return the field after T = 0.5 as its modes |m| < points/4."""
    band, reach = p.grid.band(solve(p, 0.05, 10)), points // 4
    keep = slice(p.grid.reach - reach + 1, p.grid.reach + reach)
    return np.asarray(band[(keep,) * p.dim] / p.N**p.dim)


def test_single_precision_keeps_the_constraint_where_the_density_is_small(figure: Figure) -> None:
    """Of a metric next to flat its deviation is kept: the rounding of Ω near 1 would pass for a violation."""
    p = make(dim=3, kappa=0.3, dtype="f32", T=1.0)
    parts = list(segments(plan(p)))
    norms = [part.frame.figures.h_norm for part in parts if part.frame is not None]
    worst = max(norm for norm in norms if norm is not None)
    figure("h_norm of weak noise in 3-D, float32", f"{worst:.1e}")
    assert worst < 1e-4
    assert parts[-1].ending is not None
    assert parts[-1].ending.status is Status.OK


def test_grid_too_coarse_for_the_metric_of_the_start_is_named_at_once() -> None:
    """The run ends at t = 0, before any step, and the reason says what to change."""
    p = make(N=16, L=60.0, kappa=5.0, init_kind="vortex_lattice", init_cells=3)
    (only,) = segments(plan(p))
    assert only.ending is not None
    assert (only.ending.status, only.ending.t) == (Status.CONSTRAINT_VIOLATED, 0.0)
    assert "use more points (N)" in str(only.ending.reason)
