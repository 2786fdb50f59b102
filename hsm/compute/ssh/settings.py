"""How an SSH source is set up: the options of its entry in hsm.yaml, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hsm.compute.ssh.scripts import USUAL_PYTHONS
from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import SourceSpec

CONFIG_VARIABLE = "HSM_SSH_CONFIG"
DEFAULT_ROOT = "~/.hsm"
OPTIONS = ("transport", "root", "python", "ssh_config", "allow_proxy_command")
"""The options that say how a host is reached."""


class Transport(StrEnum):
    """Who makes the connection."""

    ASYNCSSH = "asyncssh"
    OPENSSH = "openssh"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """How one host is reached. `config` is the file to read instead of the user's own, where one is named."""

    source: str
    user: str | None
    host: str
    transport: Transport = Transport.ASYNCSSH
    root: str = DEFAULT_ROOT
    pythons: tuple[str, ...] = USUAL_PYTHONS
    config: Path | None = None
    allow_proxy_command: bool = False

    @property
    def target(self) -> str:
        """The host as OpenSSH's client wants it."""
        return f"{self.user}@{self.host}" if self.user else self.host


def read_settings(spec: SourceSpec, project: Path, environment: Mapping[str, str]) -> SshSettings:
    """Return how the host of a source is reached.

    Raises:
        ConfigError: every option that cannot be used.
    """
    problems: list[Problem] = []
    options = spec.options

    def read(key: str, expected: str, default: str) -> str:
        value = options.get(key, default)
        if not isinstance(value, str) or not value.isprintable():
            problems.append(_problem(spec, key, value, expected))
            return default
        return value

    transport = read("transport", "asyncssh or openssh", Transport.ASYNCSSH)
    if transport not in list(Transport):
        problems.append(_problem(spec, "transport", transport, "asyncssh or openssh"))
        transport = Transport.ASYNCSSH
    root = read("root", "a directory on the host", DEFAULT_ROOT)
    if not root.startswith(("/", "~/")):
        problems.append(_problem(spec, "root", root, "an absolute path, or one that begins with ~/"))
    allow = options.get("allow_proxy_command", False)
    if not isinstance(allow, bool):
        problems.append(_problem(spec, "allow_proxy_command", allow, "true or false"))
    config = environment.get(CONFIG_VARIABLE) or read("ssh_config", "a file", "")
    python = read("python", "an interpreter on the host", "")
    user, _, host = spec.target.rpartition("@")
    if not host or host.startswith("-") or not host.isprintable() or " " in host:
        problems.append(Problem(where=spec.name, message=f"{spec.target!a} is not a host"))
    if problems:
        raise ConfigError(problems)
    return SshSettings(
        source=spec.name,
        user=user or None,
        host=host.removeprefix("[").removesuffix("]"),
        transport=Transport(transport),
        root=root.rstrip("/") or "/",
        pythons=_pythons(spec, python),
        config=_absolute(config, project, environment) if config else None,
        allow_proxy_command=allow is True,
    )


def _pythons(spec: SourceSpec, own: str) -> tuple[str, ...]:
    """Return the interpreters to try; one that is named stands alone, the environment's come last."""
    if own:
        return (own,)
    environment = spec.environment
    last = [f"{environment.prefix}/bin/python" if environment.prefix else None, environment.python]
    return (*USUAL_PYTHONS, *filter(None, last))


def _absolute(path: str, project: Path, environment: Mapping[str, str]) -> Path:
    if path.startswith("~/"):
        return Path(environment.get("HOME", os.sep)) / path[2:]
    return project / path


def _problem(spec: SourceSpec, key: str, value: object, expected: str) -> Problem:
    return Problem(where=f"sources.{spec.name}.options.{key}", message=f"{value!a}: expected {expected}")
