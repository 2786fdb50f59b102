"""Reading what agents recorded: each field is looked at before anything is made of it.

A host may be broken, or somebody else's. What cannot be is refused with the host's and the field's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from hsm.core.cleaning import clean
from hsm.core.errors import SourceError
from hsm.core.limits import DISK_FULL, REMEDIES
from hsm.core.model import Exit
from hsm.core.source import Observation
from hsm.core.states import AttemptState, Cause
from hsm.wire.bundle import SHA256
from hsm.wire.log import Record
from hsm.wire.manifest import NO_FILES
from hsm.wire.messages import (
    Ended,
    Hindered,
    Lost,
    Message,
    Opened,
    Started,
    UnknownMessage,
    Withdrawn,
    from_record,
)

CANCELLED = "cancelled"
MAX_NUMBER = (1 << 63) - 1
MAX_TIME = 1e11
"""In seconds since 1970: some three thousand years from now."""
MAX_STATUS = 0xFFFFFFFF
MAX_ERRNO = 4095
MAX_NAME = 1000
MAX_REASON = 4000
"""So many characters of a reason are kept."""
MAX_SHOWN = 80

Check: TypeAlias = Callable[[Any], Any]


class NotBelieved(SourceError):
    """A host says what cannot be. Nothing of it was taken, and trying again changes nothing."""

    code = "source.not_believed"

    def __init__(self, source: str, field: str, value: object) -> None:
        self.field = field
        hint = (
            f"look at the host; what it had is given up by `hsm sweep complete ID --abandon-source {source}`"
        )
        super().__init__(source, f"it says what cannot be: {shown(field)} is {shown(value)}", hint=hint)


def shown(value: object) -> str:
    """Return what a host said, short and fit for a line."""
    if isinstance(value, str):
        return clean(value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…")
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        return "a number without bounds"  # writing it out may take for ever, or not be allowed
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value)[:MAX_SHOWN]


def whole(source: str, field: str, value: object) -> int:
    """Return a whole number that may count bytes.

    Raises:
        NotBelieved: it is none.
    """
    return int(_checked(source, field, value, _count))


def observations_of(source: str, records: Iterable[Record]) -> Iterator[Observation]:
    """Yield what the agents' records mean to the engine.

    Raises:
        NotBelieved: one of them is none that an agent writes.
    """
    for record in records:
        observation = observation_of(read(source, record))
        if observation is not None:
            yield observation


def read(source: str, record: Record) -> Message:
    """Return the message of an agent's record, its texts cut to what a ledger should hold.

    Raises:
        NotBelieved: it is none that an agent writes.
    """
    try:
        message = from_record(record)
    except UnknownMessage as error:
        raise NotBelieved(source, "a record", str(error)) from error
    kind = type(message).__name__.lower()
    if not isinstance(message, _OF_AGENTS):
        raise NotBelieved(source, "a record of an agent", kind)
    values = message._asdict()
    fields = {
        name: _checked(source, f"`{name}` of a record `{kind}`", values[name], _CHECKS[name])
        for name in values
    }
    message = message._replace(**fields)
    if isinstance(message, Ended):
        _check_end(source, message)
    elif isinstance(message, Lost) and message.cause not in _LOSSES:
        raise NotBelieved(source, "the cause of a loss", message.cause)
    return message


def _checked(source: str, field: str, value: object, check: Check) -> Any:
    try:
        return check(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise NotBelieved(source, field, value) from error


def _check_end(source: str, ended: Ended) -> None:
    """Refuse an end whose parts contradict each other."""
    if (ended.code is None) is (ended.signal is None):
        raise NotBelieved(source, "the end of an attempt with code and signal", (ended.code, ended.signal))
    if ended.cause is None and ended.code != 0:
        raise NotBelieved(source, "the cause of a failure", None)


# Fields


def _number(value: Any, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    number = float(value)
    if not math.isfinite(number) or not 0 <= number <= high:
        raise ValueError
    return number


def _time(value: Any) -> float:
    return _number(value, MAX_TIME)


def _count(value: Any, high: int = MAX_NUMBER) -> int:
    if type(value) is not int:
        raise TypeError
    if not 0 <= value <= high:
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value


def _status(value: Any) -> int | None:
    return None if value is None else _count(value, MAX_STATUS)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if len(value) > MAX_NAME:
        raise ValueError
    return _writable(value)


def _reason(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return _writable(value if len(value) <= MAX_REASON else f"{value[:MAX_REASON]}…")


def _writable(text: str) -> str:
    """Return text without what UTF-8 cannot hold, as in names of files that are none."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _digest(value: Any) -> str | None:
    """Check the digest of a report. Every agent writes one that is not empty, or none."""
    if value is None:
        return None
    if SHA256.fullmatch(value) is None or value == NO_FILES:
        raise ValueError
    return str(value)


def _errno(value: Any) -> int:
    return _count(value, MAX_ERRNO)


def _cause(value: Any) -> str | None:
    return None if value is None else CANCELLED if value == CANCELLED else Cause(value).value


_LOSSES = frozenset({Cause.LOST, Cause.NODE})
_OF_AGENTS = (Opened, Started, Ended, Withdrawn, Lost, Hindered)
_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("token", "start", "version", "python", "host", "boot", "socket"), _name),
    **dict.fromkeys(("at", "started_at", "wall_s", "user_s", "system_s"), _time),
    **dict.fromkeys(("pid", "incarnation", "rss_bytes", "files", "bytes"), _count),
    **dict.fromkeys(("code", "signal"), _status),
    "report": _digest,
    "cause": _cause,
    "charged": _flag,
    "errno": _errno,
    "reason": _reason,
}


# Meanings


def observation_of(message: Message) -> Observation | None:
    """Return what an agent's record means to the engine."""
    match message:
        case Started():
            return Observation(
                token=message.token, state=AttemptState.RUNNING, at=message.at, started_at=message.at
            )
        case Ended():
            return _ended(message)
        case Withdrawn():
            return Observation(
                token=message.token,
                state=AttemptState.VOID,
                at=message.at,
                reason=message.reason or "taken back before it began",
            )
        case Lost():
            return Observation(
                token=message.token,
                state=AttemptState.LOST,
                at=message.at,
                reason=message.reason,
                cause=Cause(message.cause),
                agent=f"that of attempt {message.token[:8]}",
                charged=message.charged,
            )
        case _:
            return None


def _ended(ended: Ended) -> Observation:
    if ended.cause == CANCELLED:
        return Observation(token=ended.token, state=AttemptState.CANCELLED, at=ended.at, reason=ended.reason)
    return Observation(
        token=ended.token,
        state=AttemptState.EXITED,
        at=ended.at,
        exit=Exit(
            code=ended.code,
            signal=ended.signal,
            wall_s=ended.wall_s,
            cpu_user_s=ended.user_s,
            cpu_system_s=ended.system_s,
            max_rss_bytes=ended.rss_bytes,
        ),
        manifest=ended.report,
        cause=Cause(ended.cause) if ended.cause else None,
        reason=ended.reason,
        started_at=ended.started_at,
    )


def hindrance_of(source: str, records: Iterable[Record]) -> tuple[str | None, str]:
    """Return what the agent lacks by the last of its records that tell, None where none does; and a hint."""
    found, hint = None, ""
    for record in records:
        message = read(source, record) if record.get("t") in ("hindered", "opened") else None
        if isinstance(message, Hindered):
            found, hint = message.reason, _remedy(source, message.errno) if message.reason else ""
        elif message is not None:  # one that has just begun lacks nothing that it knows of
            found, hint = "", ""
    return found, hint


def _remedy(source: str, code: int) -> str:
    return full_hint(source) if code in DISK_FULL else REMEDIES.get(code, "")


def full_hint(source: str) -> str:
    """Return what to do about a source whose disk is full."""
    left = f" (`hsm source clean {source} --dry-run` shows what HSM left there)"
    is_elsewhere = source.partition(":")[0] != "local"
    return f"free some space there{left if is_elsewhere else ''}; it goes on by itself"
