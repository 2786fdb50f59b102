"""The agent's program on its way to a host: a zip of `hsm.wire` and `hsm.compute.agent`, named by content."""

from __future__ import annotations

import io
import shlex
import zipfile
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from typing import NamedTuple

FILE_NAME = "hsm-agent.pyz"
PACKAGES = ("hsm.wire", "hsm.compute.agent")
MODULES = ("hsm/_version.py",)
PARENTS = ("hsm/__init__.py", "hsm/compute/__init__.py")
"""Packages of which nothing else travels: there they are empty."""

MAIN = b"""import sys

from hsm.compute.agent.__main__ import main

sys.exit(main())
"""
_DAY_ONE = (1980, 1, 1, 0, 0, 0)


class Program(NamedTuple):
    """The agent's program: its bytes, their SHA-256, and where they lie below HSM's directory on a host."""

    data: bytes
    digest: str

    @property
    def path(self) -> str:
        """Where it lies on a host, relative to HSM's directory there."""
        return f"agents/{self.digest}/{FILE_NAME}"


@cache
def agent_program() -> Program:
    """Return the program of this version; its bytes depend on nothing but the sources. Blocks."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(_members()):
            member = zipfile.ZipInfo(name, _DAY_ONE)
            member.create_system = 3  # Unix, wherever it is built
            member.external_attr = 0o100644 << 16
            archive.writestr(member, data)
    data = held.getvalue()
    return Program(data, sha256(data).hexdigest())


def _members() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", MAIN
    for name in PARENTS:
        yield name, b""
    top = resources.files("hsm")
    for name in MODULES:
        yield name, top.joinpath(name.partition("/")[2]).read_bytes()
    for package in PACKAGES:
        yield from _sources(resources.files(package), package.replace(".", "/"))


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _sources(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()


STORE = """
import hashlib, os, sys
path, digest = sys.argv[1:3]
def is_it():
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest() == digest
    except OSError:
        return False
data = sys.stdin.buffer.read()
if is_it():
    print("kept"); sys.exit()
if hashlib.sha256(data).hexdigest() != digest:
    sys.exit("what came is not what was sent: %d bytes" % len(data))
folder = os.path.dirname(path)
os.makedirs(folder, mode=0o700, exist_ok=True)
part = "%s.%d.part" % (path, os.getpid())
try:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, path)
    for name in (folder, os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
        descriptor = os.open(name, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
finally:
    if os.path.exists(part):
        os.unlink(part)
print("stored")
"""
"""Takes bytes from standard input and puts them, whole and durable or not at all, where they belong."""


def store_script(python: str, root: str, program: Program) -> str:
    """Return the script that puts the program, which it reads, into its place on a host."""
    words = [python, "-I", "-c", STORE, f"{root}/{program.path}", program.digest]
    return "exec " + " ".join(map(shlex.quote, words))


def relay_script(python: str, root: str, program: Program, word: str, *arguments: str) -> str:
    """Return the script that becomes the relay."""
    words = [python, "-I", f"{root}/{program.path}", "relay", root, word, *arguments]
    return "exec " + " ".join(map(shlex.quote, words))
