"""Analyses: functions from results to findings, which plug-ins offer in the group `hsm.analyses`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hsm.config.words import did_you_mean
from hsm.core.errors import HsmError
from hsm.core.plugins import Plugin, PluginError, plugins
from hsm.results import Results

GROUP = "hsm.analyses"
Finding = Mapping[str, Any] | str
Analysis = Callable[[Results], Finding]


def analyses() -> list[str]:
    """Return the names of all analyses that are installed; nothing is imported."""
    return sorted({plugin.name for plugin in plugins(GROUP) if plugin.name})


def analysis(name: str) -> Analysis:
    """Return the analysis of this name.

    Raises:
        PluginError: there is none, more than one, or its plug-in is broken.
    """
    found = [plugin for plugin in plugins(GROUP) if plugin.name == name]
    if not found:
        known = ", ".join(analyses())
        hint = did_you_mean(name, analyses()) or (f"there are {known}" if known else "none is installed")
        raise PluginError(f"there is no analysis {name!r}", hint=hint)
    if len(found) > 1:
        owners = ", ".join(plugin.distribution for plugin in found)
        raise PluginError(f"analysis {name!r} is offered by {owners}", hint="uninstall all of them but one")
    return _checked(found[0])


def _checked(plugin: Plugin) -> Analysis:
    """Return a plug-in's function so that whatever goes wrong in it is said to be its own."""
    function = plugin.load()

    def analyse(results: Results) -> Finding:
        try:
            finding = function(results)
        except HsmError:
            raise
        except Exception as error:  # the same: named, and chained
            raise plugin.broken(f"{type(error).__name__}: {error}") from error
        if not isinstance(finding, Mapping | str):
            raise plugin.broken(f"it returned {type(finding).__name__}, not a mapping or a text")
        return finding

    return analyse
