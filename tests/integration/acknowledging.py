"""`hsm` that writes down, in a file of its own, what it has acknowledged: every event, once it is durable.

HSM_ACKNOWLEDGED names the file. It should be on another disk than the sweep.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hsm.api import analysing
from hsm.cli.entry import main as run_hsm
from hsm.core import events as ev
from hsm.core.engine import SweepEngine, ignore
from hsm.core.recorder import Listener
from hsm.core.tracker import SweepTracker
from hsm.core.world import World

ROOT = Path(__file__).resolve().parents[2]
TOLD_EARLY = {"recording_hindered", "recording_resumed"}
"""Of these it is known at once, because they say that nothing can be made durable."""


class Acknowledging(SweepEngine):
    """An engine that writes down what it tells its listener."""

    def __init__(self, world: World | None = None, *, listen: Listener = ignore, **more: Any) -> None:
        file = os.open(os.environ["HSM_ACKNOWLEDGED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def tell(events: Sequence[ev.Event], tracker: SweepTracker) -> None:
            records = [ev.to_record(event) for event in events if event.kind not in TOLD_EARLY]
            os.write(file, b"".join(json.dumps(record).encode() + b"\n" for record in records))
            listen(events, tracker)

        super().__init__(world, listen=tell, **more)


def command(folder: Path) -> Path:
    """Make the command in a folder and return its path."""
    path = folder / "hsm"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.integration.acknowledging import main\nsys.exit(main())\n"
    )
    path.chmod(0o755)
    return path


def main() -> int:
    """Run `hsm`."""
    assert vars(analysing)["SweepEngine"] is SweepEngine, "commands make their engine elsewhere"
    vars(analysing)["SweepEngine"] = Acknowledging
    return run_hsm()
