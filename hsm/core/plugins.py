"""Plug-ins: what installed distributions offer in HSM's entry point groups, loaded only when it is wanted.

A distribution whose metadata is damaged, or whose code cannot be loaded, is named and costs nobody else
anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from hsm.core.errors import ExitCode, HsmError


class PluginError(HsmError):
    """A plug-in is not there, or cannot do what it offers."""

    code = "plugin.broken"
    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One name that a distribution offers; `fault` says why it cannot be had, where its metadata tells."""

    group: str
    name: str
    distribution: str
    version: str
    point: EntryPoint | None = None
    fault: str = ""

    def load(self) -> Any:
        """Import what it offers and return it.

        Raises:
            PluginError: it cannot be imported; it names the distribution.
        """
        if self.point is None:
            raise self.broken(self.fault)
        try:
            return self.point.load()
        except Exception as error:  # a stranger's code may raise anything; it is named, and chained
            raise self.broken(f"{type(error).__name__}: {error}") from error

    def broken(self, why: str) -> PluginError:
        """Return the error that says what is wrong with it."""
        what = f"{self.name!r} of the plug-in {self.distribution}" if self.name else self.distribution
        return PluginError(
            f"{what} ({self.group}) is broken: {why}", hint=f"update or uninstall {self.distribution}"
        )


def plugins(group: str) -> list[Plugin]:
    """Return everything that is offered in a group, by name; nothing is imported. Broken metadata is told."""
    found = {(plugin.name, plugin.distribution): plugin for plugin in _all(group)}
    return [found[key] for key in sorted(found)]


def _all(group: str) -> Iterator[Plugin]:
    for distribution in distributions():
        try:
            if group not in (distribution.read_text("entry_points.txt") or ""):
                continue  # most have none; parsing each would cost `hsm --help` its quickness
            points = [point for point in distribution.entry_points if point.group == group]
        except (ValueError, TypeError, AttributeError) as error:  # what its parser makes of damaged text
            yield _of(distribution, group, fault=f"its entry points cannot be read: {error}")
            continue
        yield from (_of(distribution, group, point) for point in points)


def _of(
    distribution: Distribution, group: str, point: EntryPoint | None = None, *, fault: str = ""
) -> Plugin:
    metadata = distribution.metadata
    return Plugin(
        group=group,
        name=point.name if point else "",
        distribution=str(metadata["Name"] or "unknown"),
        version=str(metadata["Version"] or ""),
        point=point,
        fault=fault,
    )
