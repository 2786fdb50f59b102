"""The environment of attempts on a host: made there, its record kept at home."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsm.compute.environment import PYTHONS
from hsm.compute.link import Link
from hsm.compute.ssh.bundles import MAX_PATH_LENGTH, answering
from hsm.core.bundle import Bundle
from hsm.core.errors import SourceError
from hsm.core.spec import EnvironmentSpec
from hsm.core.world import World
from hsm.wire.environment import MAX_LOG_BYTES, PROBE_S, SETUP_S
from hsm.wire.link import DONE

PREPARE_S = SETUP_S + PROBE_S + 30
MAX_GPUS = 256
_GPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnvironment:
    """What attempts on a host find. The variables themselves stay there, with the agent."""

    python: str
    version: str
    gpus: tuple[str, ...]
    programs: Mapping[str, str]

    @property
    def interpreter(self) -> dict[str, str]:
        """What provenance reports say of the interpreter."""
        return {"path": self.python, "version": self.version}

    def resolve(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command with its program as an absolute path, where the host has said it."""
        if not argv:
            return ()
        program = argv[0]
        found = self.python if program in PYTHONS else self.programs.get(program, program)
        return (found, *argv[1:])


async def prepare_there(
    world: World,
    link: Link,
    spec: EnvironmentSpec,
    bundle: Bundle,
    *,
    source: str,
    programs: Sequence[str] = (),
) -> HostEnvironment:
    """Make the environment of a source on its host, which has the bundle.

    Log and scripts of the set-up are kept in the sweep's tree.
    `programs` are names that commands begin with, to be looked for on the host's PATH.

    Raises:
        SourceError: it cannot be had.
    """
    fields = {
        "source": source,
        "sweep": bundle.tree.sweep_id,
        "digest": bundle.digest,
        "python": spec.python,
        "prefix": spec.prefix,
        "modules": list(spec.modules),
        "setup": spec.setup,
        "variables": dict(spec.variables),
        "programs": list(programs),
    }
    said: dict[str, bytes] = {"script": b"", "log": b""}
    done: Mapping[str, Any] = {}
    async with answering(source, PREPARE_S), link.stream("prepare", fields) as answers:
        async for packet in answers:
            if packet.kind == DONE:
                done = packet.fields
                break
            if packet.kind in said and len(said[packet.kind]) <= MAX_LOG_BYTES:
                said[packet.kind] += packet.body
    log = bundle.tree.scripts / "setup_scripts" / f"{source}.log"
    if said["script"]:
        await world.blocking(_keep, world, bundle, spec.setup, log, said)
    if "fault" in done:
        hint = (
            f"the whole log is in {log}" if done.get("is_set_up") else f"check `sources.{source}` in hsm.yaml"
        )
        raise SourceError(source, _words(done["fault"]), hint=hint)
    return _read(source, done)


def _keep(world: World, bundle: Bundle, setup: str | None, log: Path, said: Mapping[str, bytes]) -> None:
    """Keep what the set-up printed, what the shell was given, and the user's script as it was."""
    files = world.files
    files.make_directories(str(log.parent))
    files.write_new(str(log), said["log"])
    files.write_new(str(log.with_suffix(".sh")), said["script"])
    item = next((item for item in bundle.items if item.path == setup), None)
    content = bundle.contents(files, [item.content])[item.content] if item is not None else None
    if content is not None:
        files.write_new(str(log.with_suffix(".setup.sh")), content)


def _read(source: str, done: Mapping[str, Any]) -> HostEnvironment:
    python, gpus, programs = done.get("python"), done.get("gpus"), done.get("programs")
    if not (_is_place(python) and isinstance(gpus, list) and isinstance(programs, dict)):
        raise SourceError(source, "its host describes no environment")
    return HostEnvironment(
        python=str(python),
        version=_words(done.get("version")),
        gpus=tuple(gpu for gpu in gpus[:MAX_GPUS] if isinstance(gpu, str) and _GPU.fullmatch(gpu)),
        programs={str(name): place for name, place in programs.items() if _is_place(place)},
    )


def _is_place(path: object) -> bool:
    is_path = isinstance(path, str) and path.startswith("/") and len(path) <= MAX_PATH_LENGTH
    return is_path and isinstance(path, str) and path.isprintable()


def _words(text: object) -> str:
    """Return what a host said, fit for a message."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))[:400]
