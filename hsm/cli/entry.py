"""Where `hsm` begins: a shell that asks for completions is answered before anything else is imported."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130


def main() -> int:
    """Answer a shell, or run the command."""
    try:
        return _main()
    except KeyboardInterrupt:  # while modules are imported; later, the command tells
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def _main() -> int:
    open_what_is_closed()
    if os.environ.get("_HSM_COMPLETE"):
        from hsm.cli.completing import answer

        return answer(sys.argv[1:], os.environ)
    from hsm.cli.main import main as run

    return run()


def open_what_is_closed() -> None:
    """Open standard streams that the parent has closed, on the null device.

    Otherwise the next file that is opened takes the descriptor, and whatever is said goes into it.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free, so this one
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - as the others
