"""HSM, the HPC Sweep Manager: durable parameter sweeps and adaptive hunts.

    import hsm

    sweep = hsm.run("sweeps/grid.yaml", sources="local:4")
    sweep.results().where("metric.score > 0.8").to_pandas()

Importing this package is cheap: nothing heavier than the standard library is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module

from hsm._version import __version__

TYPE_CHECKING = False  # type checkers take it for true; `typing` itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any

    from hsm.api.analyses import analyses
    from hsm.api.facade import Sweep, order, run
    from hsm.api.facade import open_sweep as open  # noqa: A004 - `hsm.open` reads as what it does
    from hsm.api.sweep import AsyncSweep
    from hsm.core.errors import HsmError
    from hsm.results import Results

__all__ = [
    "AsyncSweep",
    "HsmError",
    "Results",
    "Sweep",
    "__version__",
    "analyses",
    "open",
    "order",
    "run",
]

_PLACES = {
    "AsyncSweep": ("hsm.api.sweep", "AsyncSweep"),
    "HsmError": ("hsm.core.errors", "HsmError"),
    "Results": ("hsm.results", "Results"),
    "Sweep": ("hsm.api.facade", "Sweep"),
    "analyses": ("hsm.api.analyses", "analyses"),
    "open": ("hsm.api.facade", "open_sweep"),
    "order": ("hsm.api.facade", "order"),
    "run": ("hsm.api.facade", "run"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
