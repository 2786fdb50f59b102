"""Finding an equation by its name: those that ship and those of plug-ins, through one entry point group.

A plug-in declares `[project.entry-points."hsm.models"]` with a name and the class, which derives from
`equation.Equation`. Its code is loaded only when its equation is asked for.
"""

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from hsm.physics.equation import Equation

GROUP = "hsm.models"
DEFAULT = "sncgl"


class UnknownModel(ValueError):
    """There is no usable equation of that name."""


def model_names() -> list[str]:
    """Return the names of all equations, sorted; loads none of them."""
    return sorted({point.name for point in entry_points(group=GROUP)})


@cache
def load_model(name: str) -> type[Equation]:
    """Return the class of an equation.

    Raises:
        UnknownModel: no distribution offers it, several do, or what is offered is not an equation.
    """
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        near = difflib.get_close_matches(name, model_names(), n=1)
        hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(model_names())
        raise UnknownModel(f"there is no equation {name}; {hint}")
    owners = sorted({_owner(point) for point in found})
    if len(owners) > 1:
        raise UnknownModel(f"equation {name} is offered by {' and '.join(owners)}; uninstall all but one")
    try:
        loaded = found[0].load()
    except (ImportError, AttributeError) as error:
        raise UnknownModel(f"equation {name} of {owners[0]} cannot be loaded: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Equation)):
        raise UnknownModel(
            f"equation {name} of {owners[0]} does not derive from hsm.physics.equation.Equation"
        )
    return loaded


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
