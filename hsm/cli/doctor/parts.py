"""What is installed beside HSM itself: optional parts and plug-ins. Nothing is imported unless asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from hsm.api.checked import CheckedSources
from hsm.cli.doctor.findings import Finding, found, judged
from hsm.cli.doctor.machine import distribution_of, is_installed
from hsm.cli.words import rough
from hsm.cli.workspace import Workspace
from hsm.core.world import World

GROUPS = ("hsm.sources", "hsm.hunters", "hsm.analyses", "hsm.commands")
NEEDS: Mapping[str, str] = {
    "hunt": "hunters cmaes, tpe, gp, nsga2 and map-elites",
    "hydra": "the launcher `hydra/launcher=hsm`",
    "notebook": "tables and plots in notebooks",
    "export": "`hsm results --format parquet`, to_pandas, to_polars",
}
"""What each extra of the distribution is for, where its name does not say so."""


def extras() -> Iterator[Finding]:
    """Yield which optional parts are installed."""
    try:
        known = metadata.metadata("hsm").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return
    for extra in known:
        missing = [name for name in _wanted(extra) if not is_installed(name)]
        what = NEEDS.get(extra, "")
        if missing:
            detail = f"not installed: {', '.join(missing)}" + (f"; for {what}" if what else "")
            yield found("optional", extra, f"{detail}; `pip install 'hsm[{extra}]'`")
        else:
            yield found("optional", extra, "installed" + (f": {what}" if what else ""))


def _wanted(extra: str) -> Sequence[str]:
    marks = (f'extra == "{extra}"', f"extra == '{extra}'")
    return [
        distribution_of(text)
        for text in metadata.requires("hsm") or []
        if any(mark in text for mark in marks)
    ]


def plugins(*, deep: bool) -> Iterator[Finding]:
    """Yield every plug-in; with `deep` each is imported, otherwise only looked for."""
    for group in GROUPS:
        for point in metadata.entry_points(group=group):
            owner = point.dist.name if point.dist else "unknown"
            if owner != "hsm":
                yield _plugin(group, point, owner, deep=deep)


def _plugin(group: str, point: metadata.EntryPoint, owner: str, *, deep: bool) -> Finding:
    name = f"{group} {point.name}"
    why = _why_broken(point, deep=deep)
    fix = f"update or uninstall {owner}" if why else ""
    return judged("plug-ins", name, why or f"{point.value} of {owner}", warn=fix)


def _why_broken(point: metadata.EntryPoint, *, deep: bool) -> str:
    if deep:
        try:
            point.load()
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything; it is named
            return f"{point.value} cannot be loaded: {type(error).__name__}: {error}"
        return ""
    top = point.module.partition(".")[0]
    try:
        return "" if find_spec(top) else f"its module {top} is not there"
    except (ImportError, ValueError) as error:
        return f"its module {top} cannot be found: {error}"


def hosts(space: Workspace) -> Iterator[Finding]:
    """Yield what was found last of each host that the project sets up; none is asked now."""
    reports = CheckedSources.of(space.world)
    for name, spec in space.project.sources.items():
        if spec.kind != "ssh":
            continue
        last = reports.last(spec)
        if last is None:
            yield found("hosts", name, f"never checked as it is set up now; `hsm source check {name}`")
            continue
        ago = rough(space.world.now() - last.at)
        what = "; ".join(f"{check.name}: {check.detail}" for check in last.failed)
        fix = f"mend it, then `hsm source check {name}`" if what else ""
        yield judged("hosts", name, f"checked {ago} ago: {what or last.report.health}", warn=fix)


def devices() -> Iterator[Finding]:
    """Yield the devices that JAX finds; this imports it, which takes seconds."""
    try:
        names = _devices()
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        fix = "install jax for this machine; only `python -m hsm.physics` needs it"
        detail = "no answer" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        yield judged("devices", "jax", detail, warn=fix)
        return
    yield found("devices", "jax", ", ".join(names))


def _devices() -> list[str]:
    """Ask in a process of its own: a device that is looked at here would be held until the end."""
    done = World().run(
        [sys.executable, "-c", "import jax; print('\\n'.join(map(str, jax.devices())))"], cwd=Path.cwd()
    )
    if done.returncode:
        raise RuntimeError((done.stderr.decode(errors="replace").strip().splitlines() or ["jax failed"])[-1])
    return done.stdout.decode(errors="replace").split("\n")[:-1]
