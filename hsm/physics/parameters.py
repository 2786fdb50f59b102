"""The parameters of one simulation: names, units, ranges, validation and canonical form.

Every violation is reported at once. Nothing here knows about files or environment variables (`worker` does)
or JAX.

Units: length is measured in ξ/√ε, time in τ/ε and amplitude in √(ε/g) of the dimensional equation, so every
figure is dimensionless and μ = 1 is the natural gain.
"""

import difflib
import enum
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hsm.physics.rules import Choice, Real, RealOrAuto, Rule, Triples, UnfitValue, Whole


class Precision(enum.Enum):
    """Floating-point format of the simulated field."""

    F32 = "f32"
    F64 = "f64"


class InitialKind(enum.Enum):
    """Family of initial fields (see `hsm.physics.initial`)."""

    NOISE = "noise"
    UNIFORM = "uniform"
    PLANE_WAVE = "plane_wave"
    VORTEX_LATTICE = "vortex_lattice"


class SourceKind(enum.Enum):
    """Spatial shape of the deterministic source S(x, t) (see `hsm.physics.source`)."""

    NONE = "none"
    UNIFORM = "uniform"
    SITES = "sites"


class ParameterErrors(ValueError):
    """Everything that is wrong with a set of parameters, one sentence per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def _parameter(
    default: object, rule: Rule, about: str
) -> Any:  # a dataclass field stands in for a value of any type
    return field(default=default, metadata={"rule": rule, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """One validated parameter set of the flat S-NCGL equation; make it with `read_params`.

    Symbols as in `hsm.physics.equation`. Field names are the names users write; L, N, T are the customary
    ones.
    """

    mu: float = _parameter(1.0, Real(low=0, high=10), "gain of the uniform state, 1/time")
    b: float = _parameter(2.0, Real(low=-10, high=10), "linear dispersion")
    c: float = _parameter(-1.0, Real(low=-10, high=10), "nonlinear dispersion")
    eta: float = _parameter(0.0, Real(low=0, high=1), "non-local share of the saturation")
    sigma: float = _parameter(
        1.5, Real(low=0, high=1e3), "range of the non-local saturation, length; at most L/4"
    )
    chi: float = _parameter(0.0, Real(low=0, high=10), "non-local linear coupling, 1/time")
    d_chi: float = _parameter(0.0, Real(low=-10, high=10), "dispersion of the non-local linear coupling")
    ell: float = _parameter(
        1.5, Real(low=0, high=1e3), "range of the non-local linear coupling, length; at most L/4"
    )
    source_kind: SourceKind = _parameter(
        SourceKind.NONE, Choice(of=SourceKind), "deterministic source S(x, t)"
    )
    source_s0: float = _parameter(0.0, Real(low=-10, high=10), "source strength, amplitude/time")
    source_omega: float = _parameter(0.0, Real(low=-100, high=100), "source frequency, radians per unit time")
    source_width: float = _parameter(
        2.0, Real(low=1e-3, high=1e3), "radius w of a source site, length; at most L/4"
    )
    source_sites: int = _parameter(4, Whole(low=1, high=10_000), "number of sites drawn from the seed")
    source_positions: tuple[tuple[float, float, float], ...] = _parameter(
        (), Triples(names="x, y, phase"), "sites given one by one; they replace source_sites"
    )
    init_kind: InitialKind = _parameter(InitialKind.NOISE, Choice(of=InitialKind), "initial field")
    init_amp: float = _parameter(0.05, Real(low=0, high=5), "rms amplitude of noise, amplitude of uniform")
    init_k0: float = _parameter(1.0, Real(low=1e-3, high=1e3), "noise spectrum exp(-k²/2k0²), 1/length")
    init_phase: float = _parameter(0.0, Real(low=-100, high=100), "phase of uniform and plane_wave, radians")
    init_mode_x: int = _parameter(1, Whole(low=-1024, high=1024), "periods of plane_wave along x")
    init_mode_y: int = _parameter(0, Whole(low=-1024, high=1024), "periods of plane_wave along y")
    init_cells: int = _parameter(
        2, Whole(low=1, high=512), "cells per side of vortex_lattice, 4 vortices each"
    )
    L: float = _parameter(64.0, Real(low=1, high=1e4), "side of the periodic square, length")
    N: int = _parameter(128, Whole(low=16, high=4096, multiple_of=4), "grid points per side")
    T: float = _parameter(200.0, Real(low=1e-6, high=1e6), "duration, time")
    h: float | None = _parameter(None, RealOrAuto(low=1e-9, high=10), "largest time step, time")
    save_every: float = _parameter(2.0, Real(low=1e-6, high=1e6), "time between saved frames, at most T")
    dtype: Precision = _parameter(Precision.F32, Choice(of=Precision), "precision")
    seed: int = _parameter(
        0, Whole(low=0, high=2**64 - 1), "seed of the initial noise and of drawn source sites"
    )

    def canonical_json(self) -> str:
        """Return the one spelling of these parameters: sorted keys, no spaces, enumerations by value."""
        plain = {
            name: value.value if isinstance(value, enum.Enum) else value
            for name, value in asdict(self).items()
        }
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


RULES: Mapping[str, Rule] = {f.name: f.metadata["rule"] for f in fields(Params)}
ABOUT: Mapping[str, str] = {f.name: f.metadata["about"] for f in fields(Params)}


def read_params(given: Mapping[str, object]) -> Params:
    """Validate raw values, by name or nested: `source: {kind: sites}` is `source_kind: sites`.

    Raises:
        ParameterErrors: with every problem found, not the first one.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in _flat(given):
        if name in values:
            problems.append(f"{name}: given twice, once by name and once nested")
        elif name not in RULES:
            problems.append(_unknown(name))
        else:
            try:
                values[name] = RULES[name].read(value)
            except UnfitValue as error:
                problems.append(f"{name}: expected {error}, got {value!r}")
    params = Params(**values)
    # rules between parameters are checked even where one value is unfit: defaults stand in for the unfit ones
    problems += [problem for names, problem in _conflicts(params) if not _unfit(names, given, values)]
    if problems:
        raise ParameterErrors(problems)
    return params


def _flat(given: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in given.items():
        name = prefix + str(key).replace(".", "_")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}_")
        else:
            yield name, value


def _unknown(name: str) -> str:
    by_case = {known.lower(): known for known in RULES}
    near = [by_case[name.lower()]] if name.lower() in by_case else difflib.get_close_matches(name, RULES, n=1)
    hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(RULES)
    return f"{name}: unknown parameter; {hint}"


def _unfit(names: tuple[str, ...], given: Mapping[str, object], values: Mapping[str, object]) -> bool:
    """Say whether a rule between these parameters is moot because one of them could not be read."""
    named = {name for name, _ in _flat(given)}
    return any(name in named and name not in values for name in names)


def _conflicts(p: Params) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (parameters involved, problem) for every broken rule between parameters."""
    if p.save_every > p.T:
        yield ("save_every", "T"), f"save_every: {p.save_every:g} is longer than the run, T = {p.T:g}"
    for name, reach in (("sigma", p.sigma), ("ell", p.ell), ("source_width", p.source_width)):
        if reach > p.L / 4:
            yield (name, "L"), f"{name}: {reach:g} is more than a quarter of the box, L/4 = {p.L / 4:g}"
    largest = largest_step(p)
    if p.h is not None and p.h > largest:
        limit = f"h: {p.h:g} is not stable; the largest step for these parameters is {largest:.4g}"
        yield ("h", "mu", "c", "source_kind", "source_s0", "source_omega", "init_kind", "init_amp"), limit
    yield from _initial_conflicts(p)


def _initial_conflicts(p: Params) -> Iterator[tuple[tuple[str, ...], str]]:
    edge = p.N // 4
    if p.init_kind is InitialKind.PLANE_WAVE:
        if max(abs(p.init_mode_x), abs(p.init_mode_y)) >= edge:
            yield (
                ("init_mode_x", "init_mode_y", "N"),
                f"init_mode_x, init_mode_y: must lie below N/4 = {edge}",
            )
        elif plane_wave_density(p) <= 0:
            problem = (
                "init_kind: no plane wave of this wave number exists (its density would not be positive)"
            )
            yield ("init_mode_x", "init_mode_y", "mu", "chi", "ell", "L"), problem
    if p.init_kind is InitialKind.VORTEX_LATTICE and p.init_cells >= edge:
        yield ("init_cells", "N"), f"init_cells: must lie below N/4 = {edge}"


def plane_wave_density(p: Params) -> float:
    """Return F² = μ − q² + χ(Ĝ_ℓ(q) − 1), the density of the plane wave of the initial mode numbers.

    Negative where no such wave exists.
    """
    q2 = (2 * math.pi / p.L) ** 2 * (p.init_mode_x**2 + p.init_mode_y**2)
    return p.mu - q2 + p.chi * math.expm1(-(p.ell**2) * q2 / 2)


def largest_step(p: Params) -> float:
    """Return the largest time step accepted.

    The measured stability limit of the shifted ETDRK4 scheme is at least 0.3 at μ = 1 and |1+ic| ≤ √5 (runs
    of T = 200 from small noise); 0.3 is taken and divided by the growth of the rate that is treated
    explicitly, |1+ic| times the density scale. The linear terms are integrated exactly and set no limit. A
    source that turns by more than one radian per step is not resolved either. docs/explanation/physics.md
    shows the measurement.
    """
    limit = 0.3 / (_density_scale(p) * max(1.0, math.hypot(1, p.c) / math.sqrt(5)))
    forced = p.source_kind is not SourceKind.NONE
    return min(limit, 1 / abs(p.source_omega)) if forced and p.source_omega else limit


def _density_scale(p: Params) -> float:
    """Return the largest of the densities that gain, source and initial field sustain, at least 1.

    A dense start decays at once, and a third of its peak is what the measured limits ask for; the peak of
    noise is about ten times its mean.
    """
    source = abs(p.source_s0) ** (2 / 3) if p.source_kind is not SourceKind.NONE else 0.0
    peak = {InitialKind.NOISE: 10 * p.init_amp**2, InitialKind.UNIFORM: p.init_amp**2}.get(p.init_kind, 0.0)
    return max(1.0, p.mu, source, peak / 3)
