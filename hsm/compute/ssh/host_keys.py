"""A host's key that cannot be trusted: what is shown, and the exact command that accepts it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from hsm.compute.ssh.faults import HostKeyRefused, told

SSH_PORT = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A key that a host showed. `host` is what known_hosts files call it."""

    host: str
    address: str
    port: int
    key: asyncssh.SSHKey

    @property
    def name(self) -> str:
        """The host as it stands in a known_hosts file."""
        return self.host if self.port == SSH_PORT else f"[{self.host}]:{self.port}"

    @property
    def line(self) -> str:
        """The line of a known_hosts file that trusts this key."""
        kind, data, *_ = self.key.export_public_key().decode("ascii").split()
        return f"{self.name} {kind} {data}"


def refused(source: str, shown: ShownKey, files: Sequence[str], default: str, reason: str) -> HostKeyRefused:
    """Return the error of a key that is unknown, another than is known, or revoked.

    Args:
        files: the known_hosts files that there are.
        default: the file to add a key to.
        reason: what the library says.
    """
    key = fingerprint(shown.key)
    if "revoked" in reason:
        hint = "somebody may have stolen it: ask who runs the host for its new key"
        return HostKeyRefused(source, f"the key of {told(shown.name)} is revoked: {key}", hint=hint)
    folder = shlex.quote(default.rpartition("/")[0])
    make = "" if default in files else f"mkdir -p -m 700 {folder} && "
    accept = f"{make}printf '%s\\n' {shlex.quote(shown.line)} >> {shlex.quote(default)}"
    known = known_keys(shown, files)
    if not known:
        hint = f"compare it with what who runs the host tells you, and accept it by: {accept}"
        return HostKeyRefused(source, f"the key of {told(shown.name)} is not known: {key}", hint=hint)
    forget = " && ".join(f"ssh-keygen -R {shlex.quote(shown.name)} -f {shlex.quote(file)}" for file in files)
    reason = f"the key of {told(shown.name)} has changed: it is {key}, known is {', '.join(known)}"
    hint = f"somebody may listen in between; if who runs the host tells you the same: {forget} && {accept}"
    return HostKeyRefused(source, reason, hint=hint)


def fingerprint(key: asyncssh.SSHKey) -> str:
    """Return a key's kind and fingerprint as OpenSSH shows them."""
    return f"{told(key.get_algorithm())} {key.get_fingerprint()}"


def known_keys(shown: ShownKey, files: Sequence[str]) -> list[str]:
    """Return the fingerprints that are known for a host. Blocks."""
    if not files:
        return []
    port = None if shown.port == SSH_PORT else shown.port
    keys = asyncssh.match_known_hosts(list(files), shown.host, shown.address, port)[0]
    return list(dict.fromkeys(map(fingerprint, keys)))  # one may stand under name and address
