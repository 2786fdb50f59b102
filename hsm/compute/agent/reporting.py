"""What a host tells of itself to who checks it: facts, and bytes to measure the line by. No judgement."""

from __future__ import annotations

import os
import platform
import stat
import sys
from typing import Any, Dict, Iterator, List, Optional

from hsm.compute.agent.host import Host
from hsm.compute.agent.relay import Answer, Refusal, Service
from hsm.wire.link import DONE, Packet

FACTS = "facts"
ECHO = "echo"
BLOCK_BYTES = 256 << 10
MAX_ECHO_BYTES = 64 << 20
TRIAL = b"a line that must come back\n" * 100


class Reporting(Service):
    """Answers `facts`, and `echo`, which says as many bytes as it is asked for."""

    def __init__(self, host: Host, root: str) -> None:
        self._host = host
        self._root = root

    def answers(self) -> Dict[str, Answer]:
        """Return who answers which kind of packet."""
        return {FACTS: self._facts, ECHO: self._echo}

    def _facts(self, packet: Packet) -> Iterator[Packet]:
        yield Packet(DONE, 0, facts(self._host, self._root))

    def _echo(self, packet: Packet) -> Iterator[Packet]:
        count = packet.fields.get("bytes", 0)
        if type(count) is not int or not 0 <= count <= MAX_ECHO_BYTES:
            raise Refusal(f"{count!r} is not a number of bytes to say")
        block = os.urandom(BLOCK_BYTES)  # what no line can compress
        for start in range(0, count, BLOCK_BYTES):
            yield Packet(ECHO, 0, {}, block[: count - start])
        yield Packet(DONE)


def facts(host: Host, root: str) -> Dict[str, Any]:
    """Return what may matter to attempts on this machine; what cannot be found out is None."""
    files = host.files
    return {
        "now": host.now(),
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "host": host.name(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "boot": host.boot(),
        "cpus": host.cpus(),
        "uid": os.getuid(),
        "free_bytes": _known(files.free_bytes, root),
        "free_inodes": _known(files.free_files, root),
        "write": _why_not_written(host, root),
        "mode": _known(_mode, root),
        "gpus": _gpus(host),
    }


def _mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def _known(ask: Any, path: str) -> Optional[int]:
    try:
        return int(ask(path))
    except OSError:
        return None


def _why_not_written(host: Host, root: str) -> str:
    """Write, rename and read a file, and return what was wrong with that."""
    files, name = host.files, f"{root}/check.{host.pid()}"
    try:
        try:
            files.write_new(f"{name}.part", TRIAL)
            files.sync_file(f"{name}.part")
            files.rename(f"{name}.part", name)
            files.sync_directory(root)
            return "" if files.contents(name) == TRIAL else "what was read is not what was written"
        finally:
            files.remove(name)
            files.remove(f"{name}.part")
    except OSError as error:
        return str(error.strerror or error)


def _gpus(host: Host) -> List[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu.strip()]
    return [path[len("nvidia") :] for path in host.files.glob("/dev", "nvidia[0-9]*")]
