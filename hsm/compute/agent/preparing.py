"""The environment of attempts on a host: made once in a session, and kept here for the agent.

Variables never leave the host; the manager learns which interpreter and which GPUs there are.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from hsm.compute.agent.apart import apart
from hsm.compute.agent.host import Host
from hsm.compute.agent.premises import Premises
from hsm.compute.agent.relay import Answer, Refusal, Service
from hsm.wire.environment import NotReady, Preparation, Ready, Wanted, visible_gpus
from hsm.wire.files import Files
from hsm.wire.link import DONE, Packet
from hsm.wire.manifest import is_safe

ENVIRONMENT = "environment.json"
LOG = "log"
FAULT = "fault"
PYTHONS = ("python3", "python")
"""What `python` means on a host where nothing is said: the first of these that is on PATH."""

SLICE_BYTES = 1 << 19
_REST = re.compile(r"^~/")


class Place(NamedTuple):
    """Where the environment of a source of a sweep is made, and the bundle that its attempts start from."""

    home: str
    project: str


class Preparing(Service):
    """Makes environments."""

    def __init__(self, host: Host, root: str) -> None:
        self._host = host
        self._files = host.files
        self._premises = Premises(host.files, root)
        self._interpreter = sys.executable

    def answers(self) -> Dict[str, Answer]:
        """Return who answers which kind of packet."""
        return {"prepare": lambda packet: apart(self._host, lambda: self._prepare(packet))}

    def _prepare(self, packet: Packet) -> Iterator[Packet]:
        """Make an environment; tell the log and the scripts, and then what came of it."""
        place, wanted = self._asked(packet.fields)
        self._files.make_directories(place.home)
        self._files.set_mode(place.home, 0o700)
        log = os.path.join(place.home, "setup.log")
        self._files.remove(log)
        preparation = Preparation(self._files, self._host.run, place.project, log)
        done: Dict[str, Any] = {}
        try:
            ready = preparation.prepare(wanted, self._host.environment(), self._interpreter, PYTHONS)
            version = preparation.version(ready.python, ready.variables)
            self._keep(place.home, ready)
            done = self._told(packet.fields, ready, version)
        except NotReady as error:
            done = {FAULT: str(error), "is_set_up": error.is_set_up}
        if wanted.modules or wanted.setup:
            yield from _pieces("script", preparation.script(wanted, self._interpreter).encode("utf-8"))
            yield from _pieces(LOG, preparation.log())
        yield Packet(DONE, 0, done)

    def _asked(self, fields: Mapping[str, Any]) -> Tuple[Place, Wanted]:
        """Return where and what: a set-up script lies in the bundle, other paths in the home directory.

        Raises:
            Refusal: it cannot be understood.
        """
        source, digest = fields.get("source"), fields.get("digest")
        if not _is_name(source) or not _is_name(digest):
            raise Refusal("an environment for no source, or of no bundle")
        home = os.path.join(self._premises.sweep(fields.get("sweep")), ".hsm", "agents", str(source))
        project = os.path.join(self._premises.bundles, str(digest))
        base = self._host.environment().get("HOME") or "/"
        try:
            wanted = Wanted(
                python=_path(fields["python"], base, is_name=True),
                prefix=_path(fields["prefix"], base),
                modules=tuple(map(str, fields["modules"])),
                setup=_setup(fields["setup"], base, project),
                variables={str(name): str(value) for name, value in fields["variables"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise Refusal(f"no environment: {error}") from error
        return Place(home, project), wanted

    def _keep(self, home: str, ready: Ready) -> None:
        """Keep the variables for the agent that is started next; nobody else may read them."""
        path = os.path.join(home, ENVIRONMENT)
        draft = f"{path}.part"
        self._files.write_new(draft, b"")
        self._files.set_mode(draft, 0o600)
        self._files.write_new(draft, json.dumps(ready.variables).encode("ascii"))
        self._files.rename(draft, path)

    def _told(self, fields: Mapping[str, Any], ready: Ready, version: str) -> Dict[str, Any]:
        path = ready.variables.get("PATH")
        names = [name for name in fields.get("programs", ()) if isinstance(name, str) and os.sep not in name]
        found = {name: self._files.find_program(name, path) for name in names}
        return {
            "python": ready.python,
            "version": version,
            "gpus": visible_gpus(self._files, ready.variables),
            "programs": {name: place for name, place in found.items() if place is not None},
        }


def environment_of(files: Files, home: str) -> Optional[Dict[str, str]]:
    """Return the variables that were made for the agent whose logs are in `home`, None where none were."""
    try:
        variables = json.loads(files.contents(os.path.join(home, ENVIRONMENT)))
    except (OSError, ValueError):
        return None
    return {str(name): str(value) for name, value in variables.items()}


def _is_name(text: object) -> bool:
    return isinstance(text, str) and "/" not in text and is_safe(text)


def _path(text: Optional[str], base: str, *, is_name: bool = False) -> Optional[str]:
    """Return a path as an absolute one; `~` is the home directory, a name without a slash may be a name."""
    if text is None or (is_name and os.sep not in text):
        return text
    return os.path.normpath(os.path.join(base, _REST.sub("", text)))


def _setup(text: Optional[str], base: str, project: str) -> Optional[str]:
    is_of_home = text is not None and text.startswith("~/")
    return _path(text, base if is_of_home else project)


def _pieces(kind: str, data: bytes) -> List[Packet]:
    starts = range(0, len(data), SLICE_BYTES)
    return [Packet(kind, 0, {}, data[start : start + SLICE_BYTES]) for start in starts]
