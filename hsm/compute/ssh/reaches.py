"""Which reach an SSH source gets. What makes the connections is imported only when one is wanted."""

from __future__ import annotations

from pathlib import Path

from hsm.compute.ssh.reach import Reach
from hsm.compute.ssh.settings import Transport, read_settings
from hsm.core.spec import SourceSpec
from hsm.core.world import World


def make_reach(world: World, spec: SourceSpec, project: Path) -> Reach:
    """Return how the host of a source is reached; nothing is opened.

    Raises:
        ConfigError: an option of the source cannot be used.
    """
    settings = read_settings(spec, project, world.environment())
    match settings.transport:
        case Transport.ASYNCSSH:
            from hsm.compute.ssh.connection import SshReach  # noqa: PLC0415 - asyncssh costs 0.2 s

            return SshReach(world, settings)
        case Transport.OPENSSH:
            from hsm.compute.ssh.openssh import OpenSshReach  # noqa: PLC0415 - beside the other

            return OpenSshReach(world, settings)
