"""Commands that plug-ins add to `hsm`: entry points of the group `hsm.commands`, each a click command.

They are shown without being imported, and imported only when they are called. None takes the place of a
command of HSM, and one that is broken costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import click

from hsm.core.plugins import Plugin, plugins

GROUP = "hsm.commands"
META = "hsm.plugin"


def offered(own: Collection[str]) -> tuple[Mapping[str, Plugin], list[str]]:
    """Return the commands that can be called, by name, and in words what is wrong with all others."""
    found: dict[str, Plugin] = {}
    faults: list[str] = []
    for plugin in plugins(GROUP):
        where = f"the plug-in {plugin.distribution}"
        if plugin.fault:
            faults.append(f"{where}: {plugin.fault}")
        elif plugin.name in own:
            faults.append(f"{where} offers {plugin.name!r}, which is a command of hsm itself")
        elif plugin.name in found:
            faults.append(f"{where} offers {plugin.name!r}, as {found[plugin.name].distribution} does")
        else:
            found[plugin.name] = plugin
    return found, faults


def loaded(plugin: Plugin, ctx: click.Context) -> click.Command:
    """Import a command; from now on `caller` names its plug-in.

    Raises:
        PluginError: it is broken.
    """
    command: Any = plugin.load()
    if not isinstance(command, click.Command):
        raise plugin.broken(f"it is a {type(command).__name__}, not a click command")
    ctx.meta[META] = plugin
    return command


def caller(ctx: click.Context) -> Plugin | None:
    """Return the plug-in whose command is being called, if it is one's."""
    plugin = ctx.meta.get(META)
    return plugin if isinstance(plugin, Plugin) else None
