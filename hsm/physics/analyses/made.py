"""What an analysis makes of one result: files by name, and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Metrics = Mapping[str, float | str | None]
"""Numbers by name; None where there is none, and then a text under `reason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Files for `results/`, and what goes into `metrics.json`."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=dict)
