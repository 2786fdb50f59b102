"""What `hsm source check ssh:HOST` looks at, one by one, from the host's name to the speed of the line."""

from __future__ import annotations

import asyncio
import math
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

from hsm.compute.link import Link
from hsm.compute.ssh.faults import (
    DirectoryUnfit,
    HostKeyRefused,
    HostUnfit,
    HostUnknown,
    HostUnreachable,
    LoginNeeded,
    LoginRefused,
    PythonUnfit,
    SshConfigRefused,
    told,
)
from hsm.compute.ssh.reach import Connection, Reach
from hsm.core.errors import SourceError
from hsm.core.source import Check, Health, HealthReport
from hsm.core.spec import EnvironmentSpec
from hsm.core.world import World
from hsm.wire.link import DONE, MAX_BODY_BYTES

FACTS_S = 60.0
MEASURE_S = 60.0
JAX_S = 120.0
ECHOES = 5
SAMPLE_BYTES = 4 << 20

LOW_SPACE_BYTES = 1 << 30
NO_SPACE_BYTES = 16 << 20
LOW_INODES = 10_000
NO_INODES = 100
SKEW_S = 5.0
SLOW_S = 0.5
SLOW_BYTES_PER_S = 1e6
OTHERS_MAY_WRITE = 0o022


class Stage(StrEnum):
    """The steps to a usable connection, in their order."""

    CONFIGURATION = "configuration"
    NAME = "name"
    CONNECTION = "connection"
    HOST_KEY = "host key"
    LOGIN = "login"
    SHELL = "shell"
    DIRECTORY = "directory"
    PYTHON = "python"


_STAGES: tuple[tuple[type[SourceError], Stage], ...] = (
    (SshConfigRefused, Stage.CONFIGURATION),
    (HostUnknown, Stage.NAME),
    (HostUnreachable, Stage.CONNECTION),
    (HostKeyRefused, Stage.HOST_KEY),
    (LoginRefused, Stage.LOGIN),
    (LoginNeeded, Stage.LOGIN),
    (DirectoryUnfit, Stage.DIRECTORY),
    (PythonUnfit, Stage.PYTHON),
    (HostUnfit, Stage.SHELL),
)
"""Where an error says that a step failed; any other says that the connection was lost on the way."""

_JAX = """import importlib.util, sys
print("python %d.%d.%d" % sys.version_info[:3])
if importlib.util.find_spec("jax") is None:
    sys.exit()
import jax
for device in jax.devices():
    print("device %s" % device)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was measured of the line to a host: seconds of a round trip, bytes per second each way."""

    round_trip_s: float
    up_bytes_per_s: float
    down_bytes_per_s: float


async def check_host(world: World, reach: Reach, environment: EnvironmentSpec) -> HealthReport:
    """Look at everything that an attempt on a host needs; what fails first ends it."""
    checks: list[Check] = []
    try:
        await _look(world, reach, environment, checks)
    except (SourceError, ExceptionGroup) as error:
        checks += _ended(error, {check.name for check in checks})
    return HealthReport(source=reach.name, checks=tuple(checks))


async def _look(world: World, reach: Reach, environment: EnvironmentSpec, checks: list[Check]) -> None:
    async with reach.connected() as connection:
        checks += _reached(connection)
        async with _listening(connection) as link:
            sent_at, begun = world.now(), world.monotonic()
            facts = await _facts(link)
            took_s = world.monotonic() - begun
            checks += judge_facts(facts, connection.root, sent_at + took_s / 2)
            checks += judge_line(await _measured(world, link))
            async with _listening(connection):
                checks.append(_passed("channels", "two relays at a time"))
        checks.append(await _jax(connection, environment, gpus=_gpus(facts)))


@asynccontextmanager
async def _listening(connection: Connection) -> AsyncIterator[Link]:
    async with connection.relay() as link, asyncio.TaskGroup() as group:
        running = group.create_task(link.run())
        yield link
        running.cancel()


# The way there


def _reached(connection: Connection) -> Iterator[Check]:
    for stage in Stage:
        match stage:
            case Stage.SHELL:
                yield _shell(connection.noise)
            case Stage.DIRECTORY:
                yield _passed(stage, told(connection.root))
            case Stage.PYTHON:
                yield _passed(stage, told(f"{connection.python_version} in {connection.python}"))
            case _:
                yield _passed(stage, "")


def _shell(noise: str) -> Check:
    if not noise.strip():
        return _passed(Stage.SHELL, "prints nothing of its own")
    hint = "none of it is taken for data; startup files may look first whether `[ -t 1 ]`"
    detail = f"prints of its own: {told(noise)}"
    return Check(name=Stage.SHELL, health=Health.WARN, detail=detail, hint=hint)


def _ended(error: SourceError | ExceptionGroup[Exception], known: set[str]) -> Iterator[Check]:
    """Yield the steps that went well before one that failed, and that one."""
    fault = _source_error(error)
    stage = next((stage for kind, stage in _STAGES if isinstance(fault, kind)), None)
    for passed in _passed_before(stage, fault):
        if passed not in known:
            yield _passed(passed, "")
    detail = fault.message.removeprefix(f"source '{fault.source}': ")
    name = "link" if stage is None or stage in known else stage
    yield Check(name=name, health=Health.FAIL, detail=detail, hint=fault.hint)


def _passed_before(stage: Stage | None, fault: SourceError) -> Sequence[Stage]:
    """Return the steps that must have gone well; where nobody is logged in, nothing was dialled."""
    if stage is None:
        return ()
    if isinstance(fault, LoginNeeded):
        return (Stage.CONFIGURATION,)
    stages = list(Stage)
    return stages[: stages.index(stage)]


def _source_error(error: SourceError | ExceptionGroup[Exception]) -> SourceError:
    """Return the error that a group is about.

    Raises:
        ExceptionGroup: it is about no error of a source.
    """
    if isinstance(error, SourceError):
        return error
    for inner in error.exceptions:
        if isinstance(inner, SourceError | ExceptionGroup):
            return _source_error(inner)
    raise error


# The host


async def _facts(link: Link) -> Mapping[str, Any]:
    async with _within(link, FACTS_S, "it told nothing of itself"):
        return (await link.call("facts")).fields


def judge_facts(facts: Mapping[str, Any], root: str, now: float) -> Iterator[Check]:
    """Yield what a host's words about itself mean; `now` is when it spoke, by our clock."""
    yield _write(facts, root)
    yield _enough(
        "space", _number(facts, "free_bytes"), LOW_SPACE_BYTES, NO_SPACE_BYTES, lambda n: f"{n / 1e9:.1f} GB"
    )
    yield _enough(
        "inodes", _number(facts, "free_inodes"), LOW_INODES, NO_INODES, lambda n: f"{n:,.0f} more files"
    )
    yield _clock(_number(facts, "now"), now)
    cpus = _number(facts, "cpus")
    yield _passed("slots", f"{cpus:.0f} processors" if cpus else "an unknown number of processors")
    gpus = _gpus(facts)
    yield _passed("gpus", ", ".join(gpus) if gpus else "none")


def _write(facts: Mapping[str, Any], root: str) -> Check:
    fault, mode = facts.get("write"), _number(facts, "mode")
    if fault != "":
        detail = f"a file in {told(root)} cannot be written, renamed and read: {told(str(fault))}"
        hint = "look at the file system there, or name another directory: option `root`"
        return Check(name="files", health=Health.FAIL, detail=detail, hint=hint)
    if mode is not None and int(mode) & OTHERS_MAY_WRITE:
        hint = f"`chmod go-w {shlex.quote(told(root))}` there"
        return Check(name="files", health=Health.FAIL, detail=f"others may write in {told(root)}", hint=hint)
    return _passed("files", "written, renamed and read")


def _enough(name: str, count: float | None, low: float, none: float, words: Any) -> Check:
    if count is None:
        return Check(name=name, health=Health.WARN, detail="the host does not say how much is free", hint="")
    health = Health.FAIL if count < none else Health.WARN if count < low else Health.PASS
    hint = "" if health is Health.PASS else "free some, or name another directory: option `root`"
    told_count = "plenty" if count > 1e15 else words(count)
    return Check(name=name, health=health, detail=f"{told_count} free", hint=hint)


def _clock(there: float | None, here: float) -> Check:
    if there is None:
        return Check(
            name="clock", health=Health.WARN, detail="the host does not say what time it is", hint=""
        )
    skew_s = there - here
    if abs(skew_s) < SKEW_S:
        return _passed("clock", f"{abs(skew_s):.1f} s apart")
    direction = "ahead of" if skew_s > 0 else "behind"
    hint = "times in reports will be off, nothing else; `chronyc makestep` or its like sets the clock"
    detail = f"{abs(skew_s):,.0f} s {direction} this machine"
    return Check(name="clock", health=Health.WARN, detail=detail, hint=hint)


# The line


async def _measured(world: World, link: Link) -> Line:
    """Measure round trips, and how fast bytes go each way."""
    async with _within(link, MEASURE_S, "its line is too slow to be measured"):
        trips = [await _timed(world, link, 0, b"") for _ in range(ECHOES)]
        round_trip_s = median(trips)
        body = world.rng("hsm.sample.v1").randbytes(MAX_BODY_BYTES)
        begun = world.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(SAMPLE_BYTES // MAX_BODY_BYTES):
                group.create_task(link.call("echo", {"bytes": 0}, body))
        up_s = world.monotonic() - begun
        down_s = await _timed(world, link, SAMPLE_BYTES, b"")
    return Line(
        round_trip_s=round_trip_s,
        up_bytes_per_s=SAMPLE_BYTES / max(up_s - round_trip_s, 1e-6),
        down_bytes_per_s=SAMPLE_BYTES / max(down_s - round_trip_s, 1e-6),
    )


async def _timed(world: World, link: Link, count: int, body: bytes) -> float:
    begun, came = world.monotonic(), 0
    async with link.stream("echo", {"bytes": count}, body) as answers:
        async for packet in answers:
            came += len(packet.body)
            if packet.kind == DONE or came > count:
                break
    return world.monotonic() - begun


def judge_line(line: Line) -> Iterator[Check]:
    """Yield what was measured of the line."""
    slow = "it works, but live views lag: a nearer jump host, or none, may help"
    is_late = line.round_trip_s > SLOW_S
    yield Check(
        name="latency",
        health=Health.WARN if is_late else Health.PASS,
        detail=f"{line.round_trip_s * 1e3:.1f} ms for a round trip",
        hint=slow if is_late else "",
    )
    is_narrow = min(line.up_bytes_per_s, line.down_bytes_per_s) < SLOW_BYTES_PER_S
    yield Check(
        name="bandwidth",
        health=Health.WARN if is_narrow else Health.PASS,
        detail=f"{line.up_bytes_per_s / 1e6:.1f} MB/s there, {line.down_bytes_per_s / 1e6:.1f} MB/s back",
        hint="results will come home slowly; `Compression yes` in ssh_config may help" if is_narrow else "",
    )


# The programs' interpreter


async def _jax(connection: Connection, environment: EnvironmentSpec, *, gpus: tuple[str, ...]) -> Check:
    """Ask the interpreter that attempts get for jax, and jax for its devices."""
    python = environment.python or (
        f"{environment.prefix}/bin/python" if environment.prefix else connection.python
    )
    modules = "".join(f"module load {shlex.quote(name)} && " for name in environment.modules)
    script = f"{modules}exec {shlex.quote(python)} -c {shlex.quote(_JAX)}"
    done = await connection.run(script, timeout_s=JAX_S)
    return judge_jax(done.code, done.stdout, done.stderr, python=python, gpus=gpus)


def judge_jax(code: int, stdout: bytes, stderr: bytes, *, python: str, gpus: tuple[str, ...]) -> Check:
    """Return what the programs' interpreter said of jax."""
    lines = stdout.decode("utf-8", "replace").splitlines()
    devices = [told(line.removeprefix("device ")) for line in lines if line.startswith("device ")]
    if not any(line.startswith("python ") for line in lines):
        detail = f"{told(python)} does not start: {told(stderr)}"
        hint = "say in hsm.yaml which one attempts get: `python`, `venv` or `conda` of this source"
        return Check(name="jax", health=Health.FAIL, detail=detail, hint=hint)
    if code:
        hint = "install jax anew there; programs without jax are not concerned"
        detail = f"cannot be used by {told(python)}: {told(stderr)}"
        return Check(name="jax", health=Health.WARN, detail=detail, hint=hint)
    if not devices:
        return _passed("jax", f"not installed for {told(python)}; only programs that use it need it")
    if gpus and all("cpu" in device.lower() for device in devices):
        hint = "`pip install 'jax[cuda12]'` in the environment of this source"
        detail = f"sees none of {len(gpus)} GPUs, only {', '.join(devices[:4])}"
        return Check(name="jax", health=Health.WARN, detail=detail, hint=hint)
    return _passed("jax", f"sees {', '.join(devices[:8])}")


# What hosts say


def _number(facts: Mapping[str, Any], key: str) -> float | None:
    value = facts.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number without bounds
        return None
    return number if math.isfinite(number) else None


def _gpus(facts: Mapping[str, Any]) -> tuple[str, ...]:
    found = facts.get("gpus")
    return tuple(told(str(gpu)) for gpu in found[:64]) if isinstance(found, list) else ()


def _passed(name: str, detail: str) -> Check:
    return Check(name=name, health=Health.PASS, detail=detail)


@asynccontextmanager
async def _within(link: Link, limit_s: float, fault: str) -> AsyncIterator[None]:
    """Give something so much time.

    Raises:
        SourceError: it was not enough.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise SourceError(link.source, f"{fault} within {limit_s:g} s", transient=True) from error
