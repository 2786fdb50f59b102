"""What a check of the doctor says."""

from __future__ import annotations

from dataclasses import dataclass

from hsm.core.source import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `fix` says what to do unless all is well."""

    area: str
    name: str
    health: Health
    detail: str
    fix: str = ""


def found(area: str, name: str, detail: str) -> Finding:
    """Return that something is well."""
    return Finding(area=area, name=name, health=Health.PASS, detail=detail)


def judged(area: str, name: str, detail: str, *, fail: str = "", warn: str = "") -> Finding:
    """Return a finding that fails or warns where a fix for it is given, and passes otherwise."""
    health = Health.FAIL if fail else Health.WARN if warn else Health.PASS
    return Finding(area=area, name=name, health=health, detail=detail, fix=fail or warn)
