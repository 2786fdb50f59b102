"""What `hsm source check` found last of each source: kept for this user, told where the source is used.

It only helps to see trouble early. Nothing depends on it, and what cannot be written or read is passed over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hsm.core.source import Check, Health, HealthReport
from hsm.core.spec import SourceSpec
from hsm.core.world import World

MAX_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A report, and when it was made."""

    report: HealthReport
    at: float

    @property
    def failed(self) -> tuple[Check, ...]:
        """What failed."""
        return tuple(check for check in self.report.checks if check.health is Health.FAIL)


class CheckedSources:
    """The reports of one user."""

    def __init__(self, world: World, directory: Path) -> None:
        self._world = world
        self._directory = directory

    @classmethod
    def of(cls, world: World) -> CheckedSources:
        """Return the reports of the user who runs this process."""
        environment = world.environment()
        given = environment.get("XDG_STATE_HOME", "")
        home = environment.get("HOME") or "/nonexistent"
        state = Path(given) if given.startswith("/") else Path(home) / ".local" / "state"
        return cls(world, state / "hsm" / "checks")

    def note(self, spec: SourceSpec, report: HealthReport) -> None:
        """Keep a report in place of the last one. It is no harm if that fails."""
        content = {"at": self._world.now(), "setup": _setup(spec), "report": asdict(report)}
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._world.files.replace(str(self._path(spec)), (json.dumps(content) + "\n").encode())

    def last(self, spec: SourceSpec) -> Checked | None:
        """Return the last report of a source; None when there is none of it as it is set up now."""
        try:
            content = json.loads(self._world.files.beginning(str(self._path(spec)), MAX_BYTES))
            if content["setup"] != _setup(spec):
                return None
            return Checked(report=_report(content["report"]), at=float(content["at"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # not ours, or damaged: it tells nothing

    def _path(self, spec: SourceSpec) -> Path:
        return self._directory / f"{hashlib.sha256(spec.name.encode()).hexdigest()[:32]}.json"


def _setup(spec: SourceSpec) -> str:
    """Return what tells a source that is set up otherwise from this one."""
    text = json.dumps([spec.name, asdict(spec.environment), spec.options], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _report(content: Mapping[str, Any]) -> HealthReport:
    checks = tuple(
        Check(
            name=str(check["name"]),
            health=Health(check["health"]),
            detail=str(check["detail"]),
            hint=str(check["hint"]),
        )
        for check in content["checks"]
    )
    return HealthReport(source=str(content["source"]), checks=checks)
