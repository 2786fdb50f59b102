"""The parameters of one simulation: names, units, ranges, validation and canonical form.

Every violation is reported at once. Nothing here knows about files or environment variables (`worker` does)
or loads JAX. The parameters of the equation are the fields of its class (`equation`, `models`); users write
them beside those of the run.

Units: length is measured in ξ/√ε, time in τ/ε and amplitude in √(ε/g) of the dimensional equation, so every
figure is dimensionless and μ = 1 is the natural gain.
"""

import difflib
import enum
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hsm.physics.equation import Equation
from hsm.physics.grid import Grid
from hsm.physics.models import DEFAULT, UnknownModel, load_model
from hsm.physics.rules import Choice, Name, Real, RealOr, Rows, Rule, UnfitValue, Whole, parameter, rules_of
from hsm.physics.sncgl import Sncgl


class Precision(enum.Enum):
    """Floating-point format of the simulated field."""

    F32 = "f32"
    F64 = "f64"


class Integrator(enum.Enum):
    """How time is stepped (see `hsm.physics.etdrk4`, `hsm.physics.etdab4`)."""

    ETDRK4 = "etdrk4"
    ETDAB4 = "etdab4"


class MetricMode(enum.Enum):
    """When the metric is solved for (see `hsm.physics.gravity`)."""

    EXTRAPOLATED = "extrapolated"
    STAGE = "stage"
    FROZEN = "frozen"
    ALGEBRAIC = "algebraic"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """One validated parameter set; make it with `read_params`.

    Field names are the names users write; L, N, T are the customary ones. The parameters of the equation are
    fields of `equation`.
    """

    model: str = parameter(DEFAULT, Name(), "equation, by the name of its entry point")
    equation: Equation = field(default_factory=Sncgl)
    source_kind: SourceKind = parameter(
        SourceKind.NONE, Choice(of=SourceKind), "deterministic source S(x, t)"
    )
    source_s0: float = parameter(0.0, Real(low=-10, high=10), "source strength, amplitude/time")
    source_omega: float = parameter(0.0, Real(low=-100, high=100), "source frequency, radians per unit time")
    source_width: float = parameter(
        2.0, Real(low=1e-3, high=1e3), "radius w of a source site, length; at most L/4"
    )
    source_sites: int = parameter(4, Whole(low=1, high=10_000), "number of sites drawn from the seed")
    source_positions: tuple[tuple[float, ...], ...] = parameter(
        (), Rows(names="x, y, z, phase", least=2, most=4), "sites given one by one; they replace source_sites"
    )
    init_kind: InitialKind = parameter(InitialKind.NOISE, Choice(of=InitialKind), "initial field")
    init_amp: float = parameter(0.05, Real(low=0, high=5), "rms amplitude of noise, amplitude of uniform")
    init_k0: float = parameter(1.0, Real(low=1e-3, high=1e3), "noise spectrum exp(-k²/2k0²), 1/length")
    init_phase: float = parameter(0.0, Real(low=-100, high=100), "phase of uniform and plane_wave, radians")
    init_mode_x: int = parameter(1, Whole(low=-1024, high=1024), "periods of plane_wave along x")
    init_mode_y: int = parameter(0, Whole(low=-1024, high=1024), "periods of plane_wave along y")
    init_mode_z: int = parameter(0, Whole(low=-1024, high=1024), "periods of plane_wave along z")
    init_cells: int = parameter(
        2, Whole(low=1, high=512), "cells per side of vortex_lattice, 4 vortices each"
    )
    kappa: float = parameter(
        0.0, Real(low=0, high=100), "gravity coupling, 1/(density length²); 0 is flat, exactly"
    )
    metric: MetricMode = parameter(
        MetricMode.EXTRAPOLATED, Choice(of=MetricMode), "when the metric is solved for"
    )
    metric_tol: float | None = parameter(
        None, RealOr(low=1e-13, high=1e-2), "relative residual of the constraint; auto is 1e-6, in f32 1e-5"
    )
    rho_ref: float | None = parameter(
        None, RealOr(low=1e-6, high=1e6, word="mean"), "density of the background expansion"
    )
    rho_vac: float = parameter(1e-3, Real(low=0, high=1e3), "floor added to the density that curves space")
    algebraic_power: float = parameter(
        1.0,
        Real(low=0, high=4),
        "a of the algebraic metric Ω² = (ρ_ref/ρ)^a, a comparison without constraint",
    )
    dim: int = parameter(2, Whole(low=1, high=3), "dimension of space")
    L: float = parameter(64.0, Real(low=1, high=1e4), "side of the periodic box, length")
    N: int = parameter(128, Whole(low=16, high=4096, multiple_of=4), "grid points per side")
    T: float = parameter(200.0, Real(low=1e-6, high=1e6), "duration, time")
    h: float | None = parameter(None, RealOr(low=1e-9, high=10), "largest time step, time")
    integrator: Integrator = parameter(
        Integrator.ETDRK4, Choice(of=Integrator), "time stepping; etdab4 is for flat space"
    )
    save_every: float = parameter(2.0, Real(low=1e-6, high=1e6), "time between saved frames, at most T")
    dtype: Precision = parameter(Precision.F32, Choice(of=Precision), "precision")
    seed: int = parameter(
        0, Whole(low=0, high=2**64 - 1), "seed of the initial noise and of drawn source sites"
    )

    @property
    def grid(self) -> Grid:
        return Grid(points=self.N, length=self.L, dimension=self.dim, degree=self.equation.degree)

    @property
    def init_modes(self) -> tuple[int, ...]:
        """The mode numbers of the initial plane wave, one per axis."""
        return (self.init_mode_x, self.init_mode_y, self.init_mode_z)[: self.dim]

    @property
    def source_density(self) -> float:
        """The density that the source alone would sustain against saturation."""
        return abs(self.source_s0) ** (2 / 3) if self.source_kind is not SourceKind.NONE else 0.0

    def flat(self) -> dict[str, Any]:
        """Return every parameter by the name users write, enumerations by value."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        equation = values.pop("equation")
        values |= {f.name: getattr(equation, f.name) for f in fields(equation)}
        return {n: v.value if isinstance(v, enum.Enum) else v for n, v in values.items()}

    def canonical_json(self) -> str:
        """Return the one spelling of these parameters: sorted keys, no spaces, enumerations by value."""
        return json.dumps(self.flat(), sort_keys=True, separators=(",", ":"), allow_nan=False)


def parameter_table(equation: type[Equation]) -> dict[str, tuple[Rule, str]]:
    """Return (rule, help) of every parameter of a run of an equation, by name, the equation's first."""
    return {
        f.name: (f.metadata["rule"], f.metadata["about"])
        for kind in (equation, Params)
        for f in fields(kind)
        if "rule" in f.metadata
    }


def read_params(given: Mapping[str, object]) -> Params:
    """Validate raw values, by name or nested: `source: {kind: sites}` is `source_kind: sites`.

    Raises:
        ParameterErrors: with every problem found, not the first one.
    """
    params, unfit, problems = _read(given)
    # rules between parameters are checked even where one value is unfit: defaults stand in for the unfit ones
    problems += [problem for names, problem in _conflicts(params) if not unfit & set(names)]
    if problems:
        raise ParameterErrors(problems)
    return params


def stored_params(canonical_json: str) -> Params:
    """Return the parameters of a run that was made; the rules between them were its own business.

    Raises:
        ParameterErrors: this version does not know them.
    """
    params, _, problems = _read(json.loads(canonical_json))
    if problems:
        raise ParameterErrors(problems)
    return params


def _read(given: Mapping[str, object]) -> tuple[Params, set[str], list[str]]:
    """Return parameters, which of those given have no fit value, and what is wrong with single values."""
    named: dict[str, object] = {}
    problems: list[str] = []
    for name, value in _flat(given):
        if name in named:
            problems.append(f"{name}: given twice, once by name and once nested")
        named.setdefault(name, value)
    equation = _equation(named.get("model", DEFAULT), problems)
    rules = {name: rule for name, (rule, _) in parameter_table(equation).items()}
    values = _values(named, rules, problems)
    known = rules_of(equation)
    own = {name: value for name, value in values.items() if name in known}
    rest = {name: value for name, value in values.items() if name not in own}
    return Params(equation=equation(**own), **rest), set(named) - set(values), problems


def _flat(given: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in given.items():
        name = prefix + str(key).replace(".", "_")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}_")
        else:
            yield name, value


def _equation(name: object, problems: list[str]) -> type[Equation]:
    try:
        equation = load_model(str(name))
    except UnknownModel as error:
        problems.append(f"model: {error}")
        return Sncgl
    if taken := sorted(set(rules_of(equation)) & set(rules_of(Params))):
        problems.append(f"model: {name} names parameters that every run has: {', '.join(taken)}")
        return Sncgl
    return equation


def _values(named: Mapping[str, object], rules: Mapping[str, Rule], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in named.items():
        if name not in rules:
            problems.append(_unknown(name, rules))
            continue
        try:
            values[name] = rules[name].read(value)
        except UnfitValue as error:
            problems.append(f"{name}: expected {error}, got {value!r}")
    return values


def _unknown(name: str, rules: Mapping[str, Rule]) -> str:
    by_case = {known.lower(): known for known in rules}
    near = [by_case[name.lower()]] if name.lower() in by_case else difflib.get_close_matches(name, rules, n=1)
    hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(rules)
    return f"{name}: unknown parameter; {hint}"


def _conflicts(p: Params) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (parameters involved, problem) for every broken rule between parameters."""
    from hsm.physics.stability import largest_step, turns_with_phase

    if not type(p.equation).__module__.startswith("hsm.physics.") and not turns_with_phase(p.equation):
        rule = "f(ψ e^iθ) = f(ψ) e^iθ: the stored field carries a phase of its own, real fields cannot do so"
        yield ("model",), f"model: f of {p.model} does not turn with the phase of ψ, {rule}"
        return
    if p.save_every > p.T:
        yield ("save_every", "T"), f"save_every: {p.save_every:g} is longer than the run, T = {p.T:g}"
    if p.source_kind is SourceKind.SITES and p.source_width > p.L / 4:
        quarter = f"a quarter of the box, L/4 = {p.L / 4:g}"
        yield ("source_width", "L"), f"source_width: {p.source_width:g} is more than {quarter}"
    if p.source_positions and len(p.source_positions[0]) != p.dim + 1:
        yield ("source_positions", "dim"), f"source_positions: expected {p.dim} coordinates and a phase each"
    yield from p.equation.conflicts(p.L)
    yield from _coupling_conflicts(p)
    yield from _initial_conflicts(p)
    if p.h is not None and p.h > (largest := largest_step(p)):
        limit = f"h: {p.h:g} is not stable; the largest step for these parameters is {largest:.4g}"
        yield ("h", *rules_of(type(p.equation)), *STEP_PARAMETERS), limit


STEP_PARAMETERS = ("source_kind", "source_s0", "source_omega", "init_kind", "init_amp", "kappa", "integrator")


def _coupling_conflicts(p: Params) -> Iterator[tuple[tuple[str, ...], str]]:
    if not p.kappa:
        return
    if p.dim == 1:
        yield ("kappa", "dim"), "kappa: the metric is defined in 2 and 3 dimensions only"
    if p.integrator is Integrator.ETDAB4:
        yield (
            ("kappa", "integrator"),
            "integrator: etdab4 is for flat space (kappa = 0): its step would vanish",
        )
    if not p.equation.diffusion:
        yield ("kappa", "model"), f"kappa: {p.model} has no diffusion for a metric to act on"


def _initial_conflicts(p: Params) -> Iterator[tuple[tuple[str, ...], str]]:
    edge = p.grid.reach
    modes = "init_mode_x, init_mode_y, init_mode_z"
    if p.init_kind is InitialKind.PLANE_WAVE:
        density = plane_wave_density(p)
        if max(abs(m) for m in p.init_modes) >= edge:
            yield (*modes.split(", "), "N"), f"{modes}: must lie below {edge}, the edge of the band"
        elif density is None:
            yield ("init_kind", "model"), f"init_kind: {p.model} does not say what its plane waves are"
        elif density <= 0:
            problem = (
                "init_kind: no plane wave of this wave number exists (its density would not be positive)"
            )
            yield (*modes.split(", "), "L", *rules_of(type(p.equation))), problem
    if p.init_kind is InitialKind.VORTEX_LATTICE:
        if p.init_cells >= edge:
            yield ("init_cells", "N"), f"init_cells: must lie below {edge}, the edge of the band"
        if p.dim == 1:
            yield ("init_kind", "dim"), "init_kind: there are no vortices in one dimension"


def plane_wave_density(p: Params) -> float | None:
    """Return the density of the initial plane wave, not positive where none exists; None: unknown."""
    unit = math.tau / p.L
    return p.equation.wave_density(unit**2 * sum(m**2 for m in p.init_modes))
