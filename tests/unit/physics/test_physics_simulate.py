"""Whole runs: frames, repeatability, blow-up, interruption, one compilation."""

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from hsm.physics.exponential import State
from hsm.physics.outcome import Ending
from hsm.physics.parameters import Params, read_params
from hsm.physics.plan import Plan, loaded, plan
from hsm.physics.simulate import Frame, Segment, advance, max_density, segments
from hsm.physics.status import Status

Make = Callable[..., Params]
Figure = Callable[[str, str], None]
UNSTABLE_H = 0.4  # far above the bound that read_params enforces


def parts_of(p: Params) -> list[Segment]:
    return list(segments(plan(p)))


def frames_of(p: Params) -> tuple[Ending, list[Frame]]:
    parts = parts_of(p)
    ending = parts[-1].ending
    assert ending is not None
    return ending, [part.frame for part in parts if part.frame is not None]


def advanced(prepared: Plan, state: State, step: int, count: int) -> tuple[State, np.ndarray]:
    stepper = prepared.program(1.0).main
    state, psi, _ = advance(stepper, state, np.int64(step), np.int64(count))
    return state, np.asarray(psi)


def compilations() -> int:
    return advance._cache_size()  # type: ignore[attr-defined]


def test_frames_are_saved_at_their_times(params: Make) -> None:
    """The first is the initial field, the last is at T, and they are equally spaced."""
    ending, frames = frames_of(params(T=2.5, save_every=0.5))
    assert ending.status is Status.OK
    assert [frame.t for frame in frames] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])
    assert frames[-1].step == ending.step == 15


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_same_seed_repeats_bit_for_bit(params: Make, dtype: str) -> None:
    """Two runs of the same parameters are equal in every bit; another seed differs."""
    one, again, other = (frames_of(params(T=5, seed=seed, dtype=dtype))[1][-1].psi for seed in (3, 3, 4))
    assert one.dtype == {"f32": np.complex64, "f64": np.complex128}[dtype]
    assert one.tobytes() == again.tobytes()
    assert np.abs(one - other).max() > 0.1


def test_single_precision_follows_double(params: Make, figure: Figure) -> None:
    """At T = 4 the two agree to 1e-4 (the floor seen is 1e-5)."""
    single, double = (
        frames_of(params(T=4, init_amp=0.5, dtype=dtype))[1][-1].psi for dtype in ("f32", "f64")
    )
    error = np.linalg.norm(single - double) / np.linalg.norm(double)
    figure("float32 against float64, T = 4: relative error", f"{error:.1e}")
    assert error < 1e-4


def test_time_reaches_the_source_in_every_chunk(params: Make) -> None:
    """A run cut into many chunks equals one call over all steps: the phase of the source goes on."""
    p = params(T=4, save_every=0.4, source_kind="uniform", source_s0=0.5, source_omega=2.3, init_amp=0.3)
    prepared = plan(p)
    _, psi = advanced(prepared, loaded(prepared.first()), 0, prepared.schedule.steps)
    assert np.abs(frames_of(p)[1][-1].psi - prepared.grid.ungauged(psi.T)).max() < 1e-12


def test_different_parameters_share_one_compilation(params: Make) -> None:
    """Parameters are traced: a hunt compiles once per grid, precision, chunk and set of terms."""
    frames_of(params(N=16, L=9, T=2, dtype="f32"))
    compiled = compilations()
    for changed in (
        {"b": -1.0},
        {"c": 1.5},
        {"mu": 0.7},
        {"L": 11.0},
        {"chi": 0.5, "d_chi": 1.0},
        {"seed": 8},
    ):
        frames_of(params(**{"N": 16, "L": 9, "T": 2, "dtype": "f32", **changed}))
    assert compilations() == compiled
    frames_of(params(N=16, L=9, T=2, dtype="f32", eta=0.5))
    assert compilations() == compiled + 1


def test_blow_up_is_located_at_its_step(params: Make) -> None:
    """The step reported is the first one, counted singly, that leaves the limit; earlier frames are kept."""
    p = replace(params(T=80, save_every=4, b=-4, c=4, dtype="f32"), h=UNSTABLE_H)
    ending, frames = frames_of(p)
    assert ending.status is Status.BLOWN_UP
    prepared = plan(p)
    state, step, density = loaded(prepared.first()), 0, 0.0
    while density <= prepared.rho_limit:
        state, psi = advanced(prepared, state, step, 1)
        step, density = step + 1, max_density(jnp.asarray(psi))
    assert step > 2 * prepared.schedule.steps_per_chunk
    assert (ending.bad_step, ending.step, ending.t) == (step, step - 1, (step - 1) * UNSTABLE_H)
    assert all(np.all(np.isfinite(frame.psi)) for frame in frames)
    assert frames[-1].t <= ending.t


def test_blow_up_to_infinity_has_no_density_to_report(params: Make) -> None:
    """A field that is not finite gives null, not a magic number."""
    p = replace(params(T=400, save_every=400, c=4, init_amp=1), h=50.0)
    ending, _ = frames_of(p)
    assert ending.status is Status.BLOWN_UP
    assert ending.max_rho is None or np.isfinite(ending.max_rho)


def test_run_that_is_left_can_go_on_from_its_checkpoint_bit_for_bit(params: Make) -> None:
    """After any chunk; what follows is the same as without the pause."""
    p = params(T=10, save_every=1, dtype="f32")
    whole = parts_of(p)
    kept = whole[3].checkpoint()
    assert kept.step == 15
    assert whole[3].t == pytest.approx(3.0)
    rest = list(segments(plan(p), kept))
    assert [part.step for part in rest] == [part.step for part in whole[4:]]
    one, other = (parts[-1].checkpoint().arrays["v"] for parts in (whole, rest))
    assert one.tobytes() == other.tobytes()


def test_run_ends_when_it_loses_resolution(params: Make) -> None:
    """The first frame whose spectrum reaches the edge of the band is the last one, and the reason says so."""
    ending, frames = frames_of(params(T=40, save_every=1, N=64, L=100, b=1, c=-2, init_amp=0.5, init_k0=0.1))
    assert ending.status is Status.UNDERRESOLVED_SPACE
    assert "use more points" in str(ending.reason)
    assert 0 < ending.t == frames[-1].t < 40
    assert frames[-1].figures.spectral_tail > 1e-6 >= max(f.figures.spectral_tail for f in frames[:-1])


def test_run_ends_when_its_steps_are_too_long_for_what_happens(params: Make) -> None:
    """The error of a step is watched at every tenth frame and at the last, and the reason says what to do."""
    prepared = plan(params(T=24, save_every=1, N=64, L=32, init_amp=0.5))
    parts = list(segments(prepared))
    watched = [part.t for part in parts if part.frame and part.frame.figures.step_error is not None]
    assert watched == pytest.approx([10, 20, 24])
    *_, last = segments(replace(prepared, error_limit=1e-6))
    assert last.ending is not None
    assert last.ending.status is Status.UNDERRESOLVED_TIME
    assert last.t == pytest.approx(10)
    assert "use a smaller h" in str(last.ending.reason)


def test_error_of_a_step_is_its_distance_from_the_exact_solution(params: Make, figure: Figure) -> None:
    """A plane wave only turns, so what one step does wrong is known."""
    wave = {"init_kind": "plane_wave", "init_mode_x": 2, "init_mode_y": 1, "b": 2, "c": 1.5}
    p = params(**wave, T=0.1, save_every=0.1, h=0.1)
    _, (begin, end) = frames_of(p)
    k2 = 5 * (2 * np.pi / p.L) ** 2
    exact = begin.psi * np.exp(-0.1j * (2 * k2 + 1.5 * (1 - k2)))
    error = float(np.linalg.norm(end.psi - exact) / np.linalg.norm(exact)) / 0.1
    estimated = end.figures.step_error
    figure("error of a step, h = 0.1: estimated, exact", f"{estimated:.2e}, {error:.2e}")
    assert estimated == pytest.approx(error, rel=0.1)


def test_solution_converges_exponentially_with_resolution(figure: Figure) -> None:
    """The error of a smooth start falls by more than tenfold from N = 24 to 32 to 48, to rounding at 64."""

    def end(points: int) -> np.ndarray:
        given = {
            "N": points,
            "L": 20.0,
            "T": 1.0,
            "save_every": 1.0,
            "init_kind": "vortex_lattice",
            "init_cells": 1,
        }
        p = read_params({**given, "dtype": "f64", "h": 0.1, "eta": 0.3})
        return frames_of(p)[1][-1].psi

    fine = end(96)
    errors = [float(np.abs(end(n)[:: n // 8, :: n // 8] - fine[::12, ::12]).max()) for n in (24, 32, 48)]
    shown = ", ".join(f"{error:.1e}" for error in errors)
    figure("resolution, N = 24, 32, 48 against 96 at L = 20: error", shown)
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 50
    assert errors[2] < 1e-5


def test_coefficients_are_computed_in_double_precision(params: Make) -> None:
    """A single-precision run uses double-precision coefficients, rounded once."""
    single, double = (plan(params(dtype=dtype)).program(1.0).main.scheme.f1 for dtype in ("f32", "f64"))  # type: ignore[attr-defined]
    assert np.array_equal(np.asarray(single), np.asarray(double).astype(np.complex64))
