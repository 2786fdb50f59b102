"""Hunters: stateless proposers of parameter sets (of HSM, of libraries, of plug-ins).

A hunter is a pure function of what is already known (`hsm.core.model.Hunter`). It never sees a clock, a
file or a task that is still running, so a hunt replays from its ledger alone.
"""

from hsm.hunt.registry import HunterError, build_hunter, hunter_names

__all__ = ["HunterError", "build_hunter", "hunter_names"]
