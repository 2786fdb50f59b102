"""The section `retry`: how often to try again, by cause, and with how much more memory or time."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hsm.config.kinds import Reader, factor, integer, seconds, size_bytes
from hsm.config.section import Section
from hsm.core.spec import DEFAULT_RETRY, Growth
from hsm.core.states import Cause

KEYS = tuple(cause.value for cause in Cause)
RULE_KEYS = ("times", "grow", "up_to")
GROWING: Mapping[Cause, Reader[float]] = {Cause.MEMORY: size_bytes, Cause.TIME: seconds}
"""Causes whose limit may grow, and how it is written."""

MAX_RETRIES = 1000
DEFAULT_FACTOR = 2.0
_LIMITS = {Cause.MEMORY: "`resources.memory`", Cause.TIME: "`timeout` or `resources.walltime`"}


def read_retry(section: Section) -> dict[Cause, int]:
    """Return how many attempts beyond the first each cause allows."""
    section.only(KEYS)
    times = integer(0, MAX_RETRIES)
    read: dict[Cause, int] = {}
    for cause in Cause:
        rule = _rule(section, cause)
        if rule is None:
            read[cause] = section.read(cause.value, times, DEFAULT_RETRY[cause])
        else:
            read[cause] = rule.only(RULE_KEYS).need("times", times, 1, "times: 2")
    return read


def read_growth(section: Section) -> dict[Cause, Growth]:
    """Return the causes whose limit grows with each attempt that went over it, and how."""
    read: dict[Cause, Growth] = {}
    for cause, reader in GROWING.items():
        rule = _rule(section, cause)
        if rule is not None:
            grow = rule.read("grow", factor, DEFAULT_FACTOR)
            read[cause] = Growth(factor=grow, up_to=rule.read("up_to", reader, math.inf))
    return read


def check_growth(section: Section, limits: Mapping[Cause, float | None]) -> None:
    """Note rules of growth that have nothing to grow; `limits` are those of a first attempt."""
    for cause, limit in limits.items():
        rule = _rule(section, cause)
        if rule is None:
            continue
        bound = read_growth(section)[cause].up_to
        if limit is None:
            section.note(rule.place, f"{rule.name()} has nothing to grow", f"set {_LIMITS[cause]}")
        elif bound < limit:
            message = f"{rule.name('up_to')} is less than what a first attempt is given"
            section.note(rule.nodes["up_to"].place, message, f"raise it, or lower {_LIMITS[cause]}")


def _rule(section: Section, cause: Cause) -> Section | None:
    """Return the map that stands in place of a number, None where none does."""
    node = section.nodes.get(cause.value)
    if cause not in GROWING or node is None or not isinstance(node.value, dict):
        return None
    return Section(node, section.below(cause.value), section.report)
