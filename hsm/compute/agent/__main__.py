"""`python -m hsm.compute.agent SWEEP HOME [options]`: run the agent of one source of one sweep.

`python -m hsm.compute.agent relay ROOT WORD`: be the hands of a manager on another machine.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from typing import Optional, Tuple, Union

from hsm.compute.agent.bell import Bell
from hsm.compute.agent.host import Host
from hsm.compute.agent.service import LINGER_S, Agent, Elsewhere, Leave, Paths
from hsm.wire.runtime import socket_path

ALREADY_RUNNING = 75


def main() -> "Union[int, str]":
    """Run an agent until nothing is left to do; 75 when one runs already, words when one may elsewhere.

    With `relay` as the first word: serve a manager until it has gone.
    """
    if sys.argv[1:2] == ["relay"]:
        from hsm.compute.agent.serving import relay  # noqa: PLC0415 - an agent needs nothing of it

        return relay(sys.argv[2:])
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
    for directory in (paths.inbox, paths.records):
        host.files.make_directories(directory)
    try:
        host.files.lock(os.path.join(paths.home, "lock"))  # until this process ends
    except BlockingIOError:
        return ALREADY_RUNNING
    server, address = _serve(host, paths) if arguments.poll is None else (None, "")
    leave = Leave(arguments.poll, arguments.linger)
    try:
        agent = Agent(paths, host, leave, bell=Bell(server), address=address)
    except Elsewhere as error:
        return str(error)  # into the source's log
    if arguments.ready is not None:
        os.close(arguments.ready)
    agent.run()
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
