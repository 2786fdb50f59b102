"""`python -m hsm.compute.agent SWEEP HOME [options]`, or `relay ROOT WORD ...`: what runs on a host."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from typing import Optional, Tuple, Union

from hsm.compute.agent.bell import Bell
from hsm.compute.agent.host import Host
from hsm.compute.agent.relay import main as relay
from hsm.compute.agent.service import LINGER_S, Agent, Elsewhere, Leave, Paths
from hsm.wire.runtime import socket_path

ALREADY_RUNNING = 75


def main() -> "Union[int, str]":
    """Run an agent, or with `relay` as the first word a relay; in a zip file as well as in a package."""
    if sys.argv[1:2] == ["relay"]:
        return relay(sys.argv[2:])
    return agent()


def agent() -> "Union[int, str]":
    """Run an agent until nothing is left to do; 75 when one runs already, words when one may elsewhere."""
    parser = argparse.ArgumentParser(prog="hsm-agent")
    parser.add_argument("sweep")
    parser.add_argument("home")
    parser.add_argument("--poll", type=float, default=None, help="look at the inbox every so many seconds")
    parser.add_argument(
        "--linger", type=float, default=LINGER_S, help="leave after idling so long unattended"
    )
    parser.add_argument(
        "--ready", type=int, default=None, help="descriptor to close when the agent can be reached"
    )
    arguments = parser.parse_args()
    paths = Paths(os.path.abspath(arguments.sweep), os.path.abspath(arguments.home))
    host = Host()
    if not host.files.is_directory(paths.home):
        return f"there is no {paths.home}: its sweep was removed"  # and is not to be made anew
    for directory in (paths.inbox, paths.records):
        host.files.make_directories(directory)
    try:
        host.files.lock(os.path.join(paths.home, "lock"))  # until this process ends
    except BlockingIOError:
        return ALREADY_RUNNING
    server, address = _serve(host, paths) if arguments.poll is None else (None, "")
    leave = Leave(arguments.poll, arguments.linger)
    try:
        running = Agent(paths, host, leave, bell=Bell(server), address=address)
    except Elsewhere as error:
        return str(error)  # into the source's log
    if arguments.ready is not None:
        os.close(arguments.ready)
    running.run()
    if address:
        host.files.remove(address)
    return 0


def _serve(host: Host, paths: Paths) -> "Tuple[Optional[socket.socket], str]":
    address = socket_path(f"agent {paths.home}")
    host.files.remove(address)  # of a predecessor: we hold the lock, so it is dead
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(address)
    host.files.set_mode(address, 0o600)
    server.listen(8)
    server.setblocking(False)
    return server, address


if __name__ == "__main__":
    sys.exit(main())
