"""Finding a hunter by its name: the built-in ones, and those that plug-ins offer as entry points.

A plug-in declares `[project.entry-points."hsm.hunters"]` with a name and a function that takes the
`SweepSpec` and returns a `hsm.core.model.Hunter`. Its code is loaded only when its hunter is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from hsm.core.errors import ConfigError, ExitCode, HsmError, Problem
from hsm.core.model import Hunter
from hsm.core.spec import SweepSpec
from hsm.hunt import cma, diversity, gaussian, optuna_search
from hsm.hunt.bounded import bounded
from hsm.hunt.evolution import EvolutionHunter
from hsm.hunt.grid import GridHunter
from hsm.hunt.options import did_you_mean
from hsm.hunt.quasi_random import LatinHypercubeHunter, SobolHunter
from hsm.hunt.random_search import RandomHunter

GROUP = "hsm.hunters"

BUILT_IN: Mapping[str, Callable[[SweepSpec], Hunter]] = MappingProxyType(
    {
        "grid": GridHunter.from_spec,
        "random": RandomHunter.from_spec,
        "sobol": SobolHunter.from_spec,
        "latin-hypercube": LatinHypercubeHunter.from_spec,
        "evolution": EvolutionHunter.from_spec,
        "cmaes": cma.build,
        "tpe": optuna_search.build_tpe,
        "nsga2": optuna_search.build_nsga2,
        "gp": gaussian.build,
        "quality-diversity": diversity.build,
    }
)
"""The hunters of HSM itself: they need no installed distribution, and no plug-in can displace them."""


class HunterError(HsmError):
    """A hunter of a plug-in cannot be used."""

    code = "hunter.broken"
    exit_code = ExitCode.USAGE


def hunter_names() -> list[str]:
    """Return the names of all hunters, sorted; loads no plug-in."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def build_hunter(spec: SweepSpec) -> Hunter:
    """Return the hunter of a sweep: the grid's, or the one that `hunt.hunter` names.

    Raises:
        ConfigError: if there is no such hunter, or its options are wrong.
        HunterError: if a plug-in offers it but cannot deliver.
    """
    name = "grid" if spec.hunt is None else spec.hunt.hunter
    built_in = BUILT_IN.get(name)
    return bounded(built_in(spec) if built_in else _from_plugin(_only(name), spec), spec)


def _only(name: str) -> EntryPoint:
    found = sorted(entry_points(group=GROUP, name=name), key=_distribution)
    if not found:
        hint = did_you_mean(name, hunter_names())
        raise ConfigError([Problem(where="hunt.hunter", message=f"no hunter `{name}`", hint=hint)])
    owners = sorted({_distribution(point) for point in found})
    if len(owners) > 1:
        raise HunterError(
            f"hunter `{name}` is offered by {_listed(owners)}",
            hint="uninstall all of them but one",
        )
    return found[0]


def _from_plugin(point: EntryPoint, spec: SweepSpec) -> Hunter:
    try:
        hunter = point.load()(spec)
    except HsmError:
        raise
    except Exception as error:  # a stranger's code may raise anything; it is named, and chained
        raise _broken(point, f"{type(error).__name__}: {error}") from error
    if not callable(getattr(hunter, "ask", None)):
        raise _broken(point, f"{point.value} returned {type(hunter).__name__}, which has no method `ask`")
    plugged: Hunter = hunter
    return plugged


def _broken(point: EntryPoint, why: str) -> HunterError:
    owner = _distribution(point)
    return HunterError(
        f"hunter `{point.name}` of the distribution `{owner}` is broken: {why}",
        hint=f"update or uninstall `{owner}`, or choose another hunter: {', '.join(sorted(BUILT_IN))}",
    )


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
