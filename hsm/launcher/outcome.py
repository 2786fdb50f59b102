"""What became of one job, as JSON beside its results: written in the attempt, read by the launcher.

Nothing in it is ever executed: values are plain data, and of exceptions only Python's own are built again.
"""

from __future__ import annotations

import builtins
import json
import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

FILE_NAME = "outcome.json"
METRICS = "metrics.json"
RETURN_VALUE = "return_value"
SCHEMA = "hsm.hydra.v1"
MAX_BYTES = 16 << 20
MAX_DEPTH = 32


class TaskFailed(RuntimeError):
    """A job that failed; the message is what is known of it, the traceback where it failed included.

    It is handed to a sweeper and never shown by `hsm`, so it has neither a code nor an exit status.
    """


class Unsendable(TypeError):
    """A value that JSON cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a job returned, or how it failed.

    `note` says what of the returned value could not be written down; `error` is None for success.
    """

    value: Any = None
    note: str = ""
    error: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An exception in plain words. `arguments` are its own where JSON can say them."""

    module: str
    name: str
    message: str
    arguments: Sequence[Any] | None
    traceback: str

    def exception(self, where: str) -> Exception:
        """Return an exception for this fault: Python's own as it was, any other one as TaskFailed."""
        told = TaskFailed(f"{where} failed\n\n{self.traceback.rstrip()}\n")
        kind = getattr(builtins, self.name, None) if self.module == "builtins" else None
        if not (isinstance(kind, type) and issubclass(kind, Exception)) or self.arguments is None:
            return told
        try:
            rebuilt: Exception = kind(*self.arguments)
        except TypeError:  # UnicodeDecodeError and its like want what JSON cannot say
            return told
        rebuilt.__cause__ = told
        return rebuilt


def returned(value: Any) -> Outcome:
    """Return the outcome of a job that ended well."""
    try:
        return Outcome(value=plain(value))
    except Unsendable as error:
        return Outcome(note=str(error))


def failed(error: BaseException) -> Outcome:
    """Return the outcome of a job that raised."""
    kind = type(error)
    try:
        arguments = plain(error.args)
    except Unsendable:
        arguments = None
    fault = Fault(
        module=kind.__module__,
        name=kind.__qualname__,
        message=str(error),
        arguments=arguments,
        traceback="".join(traceback.format_exception(error)),
    )
    return Outcome(error=fault)


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON says it: tuples as lists, numbers of any library as Python's.

    Raises:
        Unsendable: JSON cannot say it.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if depth >= MAX_DEPTH:
        raise Unsendable(f"it is nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        return {_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, depth + 1) for item in value]
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        return plain(value.item(), depth + 1)  # an array or tensor of one number
    kind = type(value)
    raise Unsendable(f"a value of type {kind.__module__}.{kind.__qualname__} cannot be handed back")


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    raise Unsendable(f"a mapping with the key {key!r} cannot be handed back; JSON has text keys only")


def metrics(value: Any) -> dict[str, float]:
    """Return the numbers of a returned value under names, none where it has no numbers at its top."""
    named: Mapping[str, Any] = {}
    if isinstance(value, Mapping):
        named = value
    elif isinstance(value, list):
        named = {f"{RETURN_VALUE}_{place}": item for place, item in enumerate(value)}
    else:
        named = {RETURN_VALUE: value}
    return {name: item for name, item in named.items() if _is_number(item)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write(directory: Path, outcome: Outcome) -> None:
    """Write an outcome, and its numbers as metrics where the application has written none itself."""
    content: dict[str, Any] = {"schema": SCHEMA, "value": outcome.value, "note": outcome.note, "error": None}
    if outcome.error is not None:
        fault = outcome.error
        content["error"] = {
            "module": fault.module,
            "name": fault.name,
            "message": fault.message,
            "arguments": fault.arguments,
            "traceback": fault.traceback,
        }
    _replace(directory / FILE_NAME, json.dumps(content))
    numbers = metrics(outcome.value)
    if numbers and not (directory / METRICS).exists():
        # NaN and infinities are no JSON; null says that there is no number.
        finite = {name: item if math.isfinite(item) else None for name, item in numbers.items()}
        _replace(directory / METRICS, json.dumps(finite))


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


def read(directory: Path) -> Outcome | None:
    """Return what a job left in its directory, None where it left nothing that can be read."""
    try:
        with (directory / FILE_NAME).open("rb") as file:
            content = json.loads(file.read(MAX_BYTES + 1))
        return _outcome(content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _outcome(content: Mapping[str, Any]) -> Outcome:
    error = content["error"]
    if error is None:
        return Outcome(value=content["value"], note=str(content["note"]))
    fault = Fault(
        module=str(error["module"]),
        name=str(error["name"]),
        message=str(error["message"]),
        arguments=None if error["arguments"] is None else list(error["arguments"]),
        traceback=str(error["traceback"]),
    )
    return Outcome(error=fault)
