"""Analyses: what is made of results, by a function of all at once or by a program of each.

Plug-ins offer both in the group `hsm.analyses`: a function of `Results`, or a mapping of the form that
stands under `analyses` in a sweep file. Sweep files add programs of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from hsm.config import load_frozen
from hsm.config.analyses import GROUP, installed
from hsm.config.words import did_you_mean
from hsm.core.analyses import inner_trees
from hsm.core.errors import HsmError
from hsm.core.plugins import Plugin, PluginError, plugins
from hsm.core.spec import AnalysisSpec, SweepSpec
from hsm.core.tree import SweepTree
from hsm.results import Results
from hsm.wire.files import Files

Finding: TypeAlias = "Mapping[str, Any] | str"
Analysis = Callable[[Results], Finding]


def analyses() -> list[str]:
    """Return the names of all analyses that are installed; nothing is imported."""
    return sorted({plugin.name for plugin in plugins(GROUP) if plugin.name})


def analysis_of(files: Files, tree: SweepTree, spec: SweepSpec, name: str) -> Analysis | AnalysisSpec:
    """Return the analysis that a name means for a sweep: its own, one that has begun, or an installed one.

    Raises:
        HsmError: there is none, or it cannot be used.
    """
    own = {one.name: one for one in spec.analyses}
    if name in own:
        return own[name]
    begun = next((inner for inner in inner_trees(files, tree) if inner.sweep_id == name), None)
    return _offered(name) if begun is None else load_frozen(begun.config).analyses[0]


def analysis(name: str) -> Analysis:
    """Return the installed function of this name.

    Raises:
        PluginError: there is none, more than one, or its plug-in is broken.
    """
    found = _offered(name)
    if isinstance(found, AnalysisSpec):
        hint = f"`hsm analyze ID --with {name}` runs it"
        raise PluginError(f"{name!r} is a program that is run for each result", hint=hint)
    return found


def _offered(name: str) -> Analysis | AnalysisSpec:
    """Return the installed analysis of this name."""
    found = [plugin for plugin in plugins(GROUP) if plugin.name == name]
    if not found:
        known = ", ".join(analyses())
        hint = did_you_mean(name, analyses()) or (f"there are {known}" if known else "none is installed")
        raise PluginError(f"there is no analysis {name!r}", hint=hint)
    if len(found) > 1:
        owners = ", ".join(plugin.distribution for plugin in found)
        raise PluginError(f"analysis {name!r} is offered by {owners}", hint="uninstall all of them but one")
    content = found[0].load()
    if isinstance(content, Mapping):
        return installed(name, content)
    return _checked(found[0], content)


def _checked(plugin: Plugin, function: Any) -> Analysis:
    """Return a plug-in's function so that whatever goes wrong in it is said to be its own."""

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
