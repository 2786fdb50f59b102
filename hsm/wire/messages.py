"""What manager and agent say to each other: one record per message, in the inbox or in the records log.

The manager writes `Hello`, `Run`, `Recall`, `Cancel` and `Close` into a log in `inbox/`; the agent writes
`Opened`, `Started`, `Ended`, `Withdrawn`, `Lost` and `Hindered` into `records/<incarnation>.log`. Each log
has one writer. What the agent must do is a pure function of the two logs, so a new agent goes on where a
dead one stopped, and a new manager reads on from any offset.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Type, Union

from hsm.wire.log import Record


class Hello(NamedTuple):
    """First message of a manager's session: what holds for every attempt of it.

    `prev` says how many bytes of each older log of the inbox count (`hsm.wire.inbox`); of the runs in them
    only those that are `adopted` are still wanted, all of them when it is None. Of those of which nothing is
    known the agent says so.
    """

    epoch: int
    sweep_id: str
    slots: int
    project: str
    variables: Dict[str, str]
    gpus: List[str]
    grace_s: float
    program: Dict[str, Any]
    prev: Dict[str, int] = {}  # noqa: RUF012 - never changed
    adopted: Optional[List[str]] = None


class Run(NamedTuple):
    """Run one attempt. `directory` is relative to the sweep; limits that are None do not hold.

    Those with the same `batch` share a process; without one an attempt has its own.
    """

    token: str
    task: int
    attempt: int
    directory: str
    argv: List[str]
    params: str
    seed: int
    config_hash: str
    task_key: str
    timeout_s: Optional[float]
    memory_bytes: Optional[int]
    gpus: int
    batch: str = ""


class Recall(NamedTuple):
    """Give back what has not begun; what runs goes on."""

    tokens: List[str]


class Cancel(NamedTuple):
    """End these attempts, running or not."""

    tokens: List[str]


class Close(NamedTuple):
    """Nothing more will come in this epoch; leave when idle."""


class Opened(NamedTuple):
    """An agent began: who it is, so that it can be recognised and reached."""

    incarnation: int
    version: str
    python: str
    host: str
    pid: int
    start: str
    boot: str
    socket: str
    at: float


class Started(NamedTuple):
    """The program of an attempt was spawned."""

    token: str
    pid: int
    start: str
    at: float


class Ended(NamedTuple):
    """The exit record: the only proof that an attempt is over.

    `report` is the SHA-256 of the attempt's `provenance.json`, which lists every artifact with its size
    and SHA-256; it is None when the report could not be written. `cause` is None for a success.
    """

    token: str
    code: Optional[int]
    signal: Optional[int]
    started_at: float
    at: float
    wall_s: float
    user_s: float
    system_s: float
    rss_bytes: int
    report: Optional[str]
    files: int
    bytes: int
    cause: Optional[str]
    reason: str


class Hindered(NamedTuple):
    """The machine lacks something, so that nothing new begins; without a reason it does no more.

    `errno` is the error that told, where it was one of the system.
    """

    reason: str
    at: float
    errno: int = 0


class Withdrawn(NamedTuple):
    """An attempt was recalled or cancelled before it began, or nothing is known of it here (`reason`)."""

    token: str
    at: float
    reason: str = ""


class Lost(NamedTuple):
    """An attempt came to nothing with its agent, or for what its machine lacks; what was left of it is gone.

    The cause is `lost`, or `node` where it was the machine, which says nothing of the attempt. Where it is
    not `charged`, it was certainly through no fault of its own.
    """

    token: str
    reason: str
    at: float
    cause: str = "lost"
    charged: bool = True


Message = Union[Hello, Run, Recall, Cancel, Close, Opened, Started, Ended, Withdrawn, Lost, Hindered]

_KINDS: Dict[str, Type[Message]] = {
    cls.__name__.lower(): cls
    for cls in (Hello, Run, Recall, Cancel, Close, Opened, Started, Ended, Withdrawn, Lost, Hindered)
}


class UnknownMessage(ValueError):
    """A record that this version cannot read."""


def to_record(message: Message) -> Record:
    """Return the record of a message."""
    return {"t": type(message).__name__.lower(), **message._asdict()}


def from_record(record: Record) -> Message:
    """Return the message of a record.

    Raises:
        UnknownMessage: its kind or its fields are not those of this version.
    """
    fields = dict(record)
    name = fields.pop("t", "")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownMessage(f"message of unknown kind {name!r:.100}")
    try:
        return kind(**fields)
    except TypeError as error:
        raise UnknownMessage(f"{error!s:.200}") from error
