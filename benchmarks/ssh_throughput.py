"""3,000 tasks of /bin/true on 2 slots: a host behind real sshd against this machine, in one run.

    python benchmarks/ssh_throughput.py [--tasks 3000] [--rounds 3] [--delay 0.1]

Each round times `hsm sweep run` three times, the whole command each: with the local source, with a host that
is an sshd on loopback, and with the same host behind a line whose round trip takes `--delay` seconds. All run
on the processors of this machine, so the host's work, and the line's, is paid for here too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the lab belongs to the tests

from tests.lab.sshd import Lab, prepare
from tests.lab.wire import Wire

SLOTS = 2
WARM_UP_TASKS = 10
NEEDED = {"ssh": 0.4, "far": 0.35}
SWEEP = """\
name: throughput
program: {{command: [/bin/true]}}
sweep: {{grid: {{k: [{values}]}}}}
"""


def run_s(folder: Path, lab: Lab, source: str, tasks: int) -> float:
    """Return how long the whole command takes, from start-up to the report."""
    home = Path(tempfile.mkdtemp(dir=folder))
    (home / "true.yaml").write_text(SWEEP.format(values=", ".join(map(str, range(tasks)))))
    hsm = Path(sys.executable).with_name("hsm")
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["HSM_SSH_CONFIG"] = str(lab.ssh_config)
    began = time.perf_counter()
    subprocess.run(
        [str(hsm), "sweep", "run", "true.yaml", "--source", f"{source}:{SLOTS}", "-q"],
        cwd=home,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.1)
    arguments = parser.parse_args()
    prepare()
    folder = Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    lab = Lab(folder / "lab")
    host = lab.host("near")
    wire = Wire(host.port, host.setup.address)
    lab.name("far", host, wire.port)
    sources = {"local": "local", "ssh": "ssh:near", "far": "ssh:far"}
    try:
        for source in sources.values():
            run_s(folder, lab, source, WARM_UP_TASKS)
        wire.set_delay(arguments.delay)
        seconds: dict[str, list[float]] = {name: [] for name in sources}
        for _ in range(arguments.rounds):
            for name, source in sources.items():
                seconds[name].append(run_s(folder, lab, source, arguments.tasks))
    finally:
        wire.end()
        lab.end()
    missed = [name for name, needed in NEEDED.items() if _told(name, seconds, arguments) < needed]
    if missed:
        raise SystemExit(f"slower than is promised: {', '.join(missed)}")


def _told(name: str, seconds: dict[str, list[float]], arguments: argparse.Namespace) -> float:
    """Print the rate of a source, and return what part of the local one's it is."""
    ratio = statistics.median(local / own for local, own in zip(seconds["local"], seconds[name], strict=True))
    rates = {of: arguments.tasks / statistics.median(seconds[of]) for of in ("local", name)}
    what = "on loopback" if name == "ssh" else f"with a round trip of {arguments.delay * 1e3:.0f} ms"
    print(
        f"local {rates['local']:5.0f} tasks/s   SSH {what} {rates[name]:5.0f} tasks/s   "
        f"{ratio:.2f} of it (needed: {NEEDED[name]:g})"
    )
    return ratio


if __name__ == "__main__":
    main()
