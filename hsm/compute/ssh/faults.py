"""What may be wrong with a host or the way to it, as errors: each says whether trying again can help."""

from __future__ import annotations

import os

from hsm.core.cleaning import clean
from hsm.core.errors import SourceError
from hsm.core.limits import DISK_FULL

MAX_TOLD = 400
"""So many characters of what a host says are shown in an error."""


def told(text: str | bytes) -> str:
    """Return what a host said, made fit for a terminal and for one line, its end where it is long."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return clean(" | ".join(line.strip() for line in said.splitlines() if line.strip()))[-MAX_TOLD:]


def says_full(text: str | bytes) -> bool:
    """Tell whether a host says that there is no room on its disk, in the words of its system."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return any(os.strerror(code) in said for code in DISK_FULL)


class HostUnreachable(SourceError):
    """There is no connection to a host now. Trying again may help."""

    code = "source.unreachable"

    def __init__(self, source: str, message: str, *, hint: str = "") -> None:
        super().__init__(source, message, hint=hint, transient=True)


class HostUnknown(HostUnreachable):
    """There is no such host, as far as can be told from here now."""


class HostKeyRefused(SourceError):
    """A host shows a key that is not the one that is known for it. Nothing was sent to it."""

    code = "source.host_key"


class LoginRefused(SourceError):
    """A host does not let us in. Trying again would only get us banned."""

    code = "source.login"


class LoginNeeded(SourceError):
    """OpenSSH has no shared connection: somebody has to log in. What runs on the host goes on."""

    code = "source.login_needed"

    def __init__(self, source: str, message: str, *, hint: str) -> None:
        super().__init__(source, message, hint=hint, transient=True)


class SshConfigRefused(SourceError):
    """What is configured for the way to a host cannot be used, or is not safe."""

    code = "source.ssh_config"


class HostUnfit(SourceError):
    """A host lets us in, but its shell, its Python or its disk cannot be used."""

    code = "source.host_unfit"


class DirectoryUnfit(HostUnfit):
    """HSM's directory on a host cannot be used."""


class PythonUnfit(HostUnfit):
    """A host has no Python that can run the agent."""
