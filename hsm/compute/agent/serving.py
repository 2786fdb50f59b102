"""`hsm-agent relay ROOT WORD`: be the relay of one manager on this host, with everything that it can do."""

from __future__ import annotations

import argparse
import os
from typing import List, Sequence

from hsm.compute.agent.carrying import Carrying
from hsm.compute.agent.relay import SILENCE_S, Relay, Service


def services(root: str) -> "List[Service]":
    """Return everything that a relay does under HSM's directory on this host."""
    return [Carrying(root)]


def relay(words: Sequence[str]) -> int:
    """Serve the manager at the other end of standard input and output until it has gone."""
    parser = argparse.ArgumentParser(prog="hsm-agent relay")
    parser.add_argument("root")
    parser.add_argument("word", help="begins what is said, so that it is told from a shell's noise")
    parser.add_argument(
        "--silence", type=float, default=SILENCE_S, help="leave when nothing was heard for so long"
    )
    arguments = parser.parse_args(words)
    root = os.path.abspath(os.path.expanduser(arguments.root))
    os.makedirs(root, mode=0o700, exist_ok=True)
    source, sink = os.dup(0), os.dup(1)
    with open(os.devnull, "r+b") as nothing:  # whatever prints by accident never gets between packets
        os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
    Relay(source, sink, services(root), arguments.silence).run(arguments.word)
    return 0
