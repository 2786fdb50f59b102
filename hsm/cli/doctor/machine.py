"""Python, limits, clocks and the terminal of this machine."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata

from hsm._version import __version__
from hsm.cli.console import Console
from hsm.cli.doctor.findings import Finding, found, judged
from hsm.core.world import World

OLDEST = (3, 11)
FILES_WANTED, FILES_NEEDED = 1024, 256
PROCESSES_WANTED = 512
EARLIEST_S = 1_750_000_000.0  # in the year 2025: no right clock is behind it
NARROW = 80


def python() -> Iterator[Finding]:
    """Yield what interpreter and which versions are in use."""
    version = platform.python_version()
    old = f"HSM needs Python {'.'.join(map(str, OLDEST))} or newer" if sys.version_info < OLDEST else ""
    yield judged("python", "interpreter", f"{version} at {sys.executable}", fail=old)
    yield found("python", "hsm", __version__)
    yield _dependencies()


def _dependencies() -> Finding:
    missing = []
    try:
        wanted = metadata.requires("hsm") or []
    except metadata.PackageNotFoundError:
        fix = "install it: `pip install hsm`; plug-ins and versions are found through its metadata"
        return judged("python", "dependencies", "hsm runs from a folder, not installed", warn=fix)
    for text in wanted:
        name = distribution_of(text)
        if "extra ==" not in text and not is_installed(name):
            missing.append(name)
    fix = f"pip install {' '.join(missing)}" if missing else ""
    detail = f"missing: {', '.join(missing)}" if missing else "all there"
    return judged("python", "dependencies", detail, fail=fix)


def distribution_of(requirement: str) -> str:
    """Return the name that a requirement begins with."""
    end = next((i for i, ch in enumerate(requirement) if not (ch.isalnum() or ch in "-_.")), None)
    return requirement[:end]


def is_installed(name: str) -> bool:
    """Tell whether a distribution is there, without importing it."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def limits() -> Iterator[Finding]:
    """Yield how many files and processes this user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fix = f"`ulimit -n {FILES_WANTED if hard < 0 else min(hard, 4096)}` in the shell that runs hsm"
    few = soft != resource.RLIM_INFINITY and soft < FILES_WANTED
    too_few = few and soft < FILES_NEEDED
    yield judged("limits", "open files", _limit(soft), fail=fix if too_few else "", warn=fix if few else "")
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    few = soft != resource.RLIM_INFINITY and soft < PROCESSES_WANTED
    fix = f"`ulimit -u {PROCESSES_WANTED}`, or run fewer tasks at a time"
    yield judged("limits", "processes", _limit(soft), warn=fix if few else "")
    cores = len(os.sched_getaffinity(0))
    yield found("limits", "cores", f"{cores} for this process")


def _limit(value: int) -> str:
    return "not limited" if value == resource.RLIM_INFINITY else f"at most {value:,}"


def clocks(world: World) -> Iterator[Finding]:
    """Yield whether the clocks can be right."""
    now = world.now()
    fix = "set the clock, best by NTP: ids and reports carry its time" if now < EARLIEST_S else ""
    yield judged("clocks", "wall clock", "is in the past" if fix else "plausible", fail=fix)
    first = world.monotonic()
    later = max(world.monotonic() for _ in range(1000))
    is_fine = later > first
    fix = "" if is_fine else "time limits cannot hold on this machine"
    yield judged("clocks", "monotonic clock", "goes forward" if is_fine else "stands still", fail=fix)


def terminal(console: Console) -> Iterator[Finding]:
    """Yield what the terminal can show."""
    if not console.is_data_on_terminal:
        yield found("terminal", "terminal", "none: plain lines, no colour")
        return
    encoding = getattr(sys.stdout, "encoding", "") or "ascii"
    is_utf = encoding.lower().replace("-", "").startswith("utf")
    fix = "" if is_utf else "export LANG=C.UTF-8; ASCII signs are used meanwhile"
    yield judged("terminal", "encoding", encoding, warn=fix)
    has_color = console.has_color(sys.stdout)
    yield found("terminal", "colour", "yes" if has_color else "no (NO_COLOR, or TERM is dumb)")
    width = shutil.get_terminal_size((80, 24)).columns
    narrow = f"make it {NARROW} columns wide: tables are cut" if width < NARROW else ""
    yield judged("terminal", "width", f"{width} columns", warn=narrow)
