"""The collector: brings an ended attempt's artifacts home, checks every byte, and says what became of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsm.core.events import AttemptFailed, AttemptSealed
from hsm.core.model import Attempt, Metrics, Task
from hsm.core.source import Fault
from hsm.core.states import Cause
from hsm.wire import manifest
from hsm.wire.files import Files

MAX_METRICS_BYTES = 1 << 20
MAX_METRICS = 256
MAX_NAME_CHARS = 200
METRICS = "metrics.json"
REASON = "reason"
TAIL_BYTES = 4096
SIGNATURE_CHARS = 160
LARGE_LOG_BYTES = 100 << 20

_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt whose exit record is known, and where its directory is."""

    task: Task
    attempt: Attempt
    directory: Path


def judge(files: Files, ended: Ended, at: float, fault: Fault | None = None) -> AttemptSealed | AttemptFailed:
    """Verify the attempt's artifacts and return its verdict. Reads every byte; blocks.

    What is evidence of a result or of a failure is read-only from then on. `fault` is why the artifacts did
    not come home whole.
    """
    attempt = ended.attempt
    if fault is not None:
        return _failed(files, ended, fault.cause, fault.reason, at)
    if attempt.manifest is None:
        return _failed(files, ended, attempt.cause or Cause.APPLICATION, attempt.reason, at)
    if attempt.manifest == manifest.NO_FILES:
        return _verdict(files, ended, (), at)
    found = manifest.verify(files, str(ended.directory), attempt.manifest)
    if isinstance(found, manifest.Mismatch):
        return _failed(files, ended, Cause.TRANSFER, f"{found.path}: {found.reason}", at)
    contradiction = _contradiction(ended, found.said)
    if contradiction:
        return _failed(files, ended, Cause.PROTOCOL, contradiction, at)
    return _verdict(files, ended, found.entries, at)


def _contradiction(ended: Ended, said: Mapping[str, Any]) -> str:
    """Return what the report of an attempt says otherwise than what is known of it, empty when it agrees."""
    attempt, found = ended.attempt, ended.attempt.exit
    known: dict[str, Any] = {
        "token": attempt.token,
        "attempt": attempt.number,
        "config_hash": ended.task.config_hash,
        "exit": found and {"code": found.code, "signal": found.signal},
        "cause": attempt.cause,
    }
    for name, value in said.items():
        if value != known[name]:
            return f"{manifest.REPORT} says {name} {value!a:.80}, and its agent {known[name]!a:.80}"
    return ""


def _verdict(
    files: Files, ended: Ended, artifacts: Sequence[manifest.Entry], at: float
) -> AttemptSealed | AttemptFailed:
    """Return the verdict on an attempt whose artifacts are what its exit record says."""
    attempt = ended.attempt
    if attempt.cause is not None:
        return _failed(files, ended, attempt.cause, attempt.reason, at)
    metrics, notes = read_metrics(files, ended.directory)
    return AttemptSealed(
        task=ended.task.index,
        attempt=attempt.number,
        metrics=metrics,
        notes=(*notes, *_large_logs(artifacts)),
        files=len(artifacts),
        bytes=sum(entry.size for entry in artifacts),
        at=at,
    )


def _large_logs(artifacts: Sequence[manifest.Entry]) -> list[str]:
    return [
        f"{entry.path} is {entry.size / 1e9:.1f} GB; let the program write less, or to results/"
        for entry in artifacts
        if entry.path in ("stdout.log", "stderr.log") and entry.size >= LARGE_LOG_BYTES
    ]


def _failed(files: Files, ended: Ended, cause: Cause, reason: str, at: float) -> AttemptFailed:
    return AttemptFailed(
        task=ended.task.index,
        attempt=ended.attempt.number,
        cause=cause,
        reason=reason,
        signature=signature(files, ended.directory, cause, reason),
        at=at,
    )


def signature(files: Files, directory: Path, cause: Cause, reason: str) -> str:
    """Return the line that groups like failures: the last words on stderr, or else the reason.

    Numbers in them are replaced by `#`, so that the same fault at two places is one group.
    """
    words = _last_line(files, f"{directory}/stderr.log") if cause is Cause.APPLICATION else ""
    return (f"{reason}: {_NUMBERS.sub('#', words)}" if words else reason)[:SIGNATURE_CHARS]


def _last_line(files: Files, path: str) -> str:
    try:
        start = max(0, files.length(path) - TAIL_BYTES)
        text = b"".join(files.chunks(path, start)).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [_CONTROLS.sub(" ", line).strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "")


def read_metrics(files: Files, directory: Path) -> tuple[Metrics | None, list[str]]:
    """Return the numbers of `metrics.json`, None without one, and a note on everything that was left out."""
    try:
        text = files.beginning(f"{directory}/{METRICS}", MAX_METRICS_BYTES + 1)
        if len(text) > MAX_METRICS_BYTES:
            return None, [f"metrics.json is larger than {MAX_METRICS_BYTES} bytes and was not read"]
        content = json.loads(text)
    except FileNotFoundError:
        return None, []
    except (OSError, ValueError, RecursionError) as error:
        return None, [f"metrics.json cannot be read: {error}"]
    if not isinstance(content, dict):
        return None, ["metrics.json is not a mapping of names to numbers"]
    return _numbers(content)


def _numbers(content: Mapping[str, Any]) -> tuple[Metrics, list[str]]:
    """Return the numbers; `reason` is the program's own word on why one of them is null."""
    metrics: dict[str, float | None] = {}
    reason = content.get(REASON)
    notes = [_CONTROLS.sub(" ", reason[:SIGNATURE_CHARS])] if isinstance(reason, str) and reason else []
    for name, value in content.items():
        if name == REASON:
            continue
        if len(name) > MAX_NAME_CHARS or not name.isprintable():
            notes.append(f"metrics.json has a name that cannot be printed: {name[:MAX_NAME_CHARS]!a}")
            continue
        if len(metrics) >= MAX_METRICS:
            notes.append(f"metrics.json has more than {MAX_METRICS} numbers; the rest was left out")
            break
        if value is None:
            metrics[name] = None
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            metrics[name] = _finite(name, value, notes)
    return metrics, notes


def _finite(name: str, value: float, notes: list[str]) -> float | None:
    try:
        if math.isfinite(value):
            return value
        notes.append(f"metric {name} is {value}, recorded as null")
    except OverflowError:
        notes.append(f"metric {name} is larger than a float can be, recorded as null")
    return None
