"""Where `hsm` begins: a shell that asks for completions is answered before anything else is imported."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Answer a shell, or run the command."""
    if os.environ.get("_HSM_COMPLETE"):
        from hsm.cli.completing import answer

        return answer(sys.argv[1:], os.environ)
    from hsm.cli.main import main as run

    return run()
