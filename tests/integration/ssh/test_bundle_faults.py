"""Bundles against hosts that go wrong: no room, relays that die, several managers, old Pythons."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hsm.compute.link import Link, LinkLost
from hsm.compute.ssh.bundles import Shipped, ship
from hsm.compute.ssh.environments import prepare_there
from hsm.compute.testing.pipe import PipeReach
from hsm.core.bundle import Bundle, write_listing
from hsm.core.errors import SourceError
from hsm.core.program import pin
from hsm.core.spec import EnvironmentSpec, ProgramSpec
from hsm.core.tree import SweepTree
from hsm.core.world import World
from tests.lab.processes import until
from tests.unit.house.test_travelling_code import _find_python

pytestmark = pytest.mark.integration
SWEEP = "heat-20260101-000000-abcd"


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def project_of(tmp_path: Path, *, files: int, size: int) -> Path:
    """Make a project of files that cannot be deflated, each another."""
    root = tmp_path / "project"
    (root / "lib").mkdir(parents=True)
    for number in range(files):
        (root / "lib" / f"{number:04}.bin").write_bytes(os.urandom(size))
    return root


def bundle_of(world: World, project: Path, sweep: str = SWEEP) -> Bundle:
    tree = SweepTree(project.parent / "outputs" / sweep)
    tree.hsm.mkdir(parents=True)
    write_listing(world.files, tree, pin(world, ProgramSpec(command=("true",), files=("**/*",)), project))
    found = Bundle.of_sweep(world.files, tree, project)
    assert found is not None
    return found


@asynccontextmanager
async def host(root: Path, python: str = sys.executable) -> AsyncIterator[tuple[Link, PipeReach]]:
    """Yield a link to a relay process, and the reach that knows its process."""
    reach = PipeReach(World(), "ssh:host", root, python)
    async with reach.connected() as connection, connection.relay() as link:
        listening = asyncio.ensure_future(link.run())
        try:
            yield link, reach
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, LinkLost):
                await listening


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB, for a host."""
    if os.geteuid() != 0:
        pytest.skip("NOT ROOT: no small disk can be mounted")
    place = tmp_path / "disk"
    place.mkdir()
    if mount("size=24m", place) != 0:
        pytest.skip("NO MOUNT: no small disk can be mounted")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def mount(options: str, place: Path) -> int:
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    return subprocess.run(words, check=False, capture_output=True).returncode


async def test_a_project_that_does_not_fit_is_told_before_it_is_sent(
    world: World, tmp_path: Path, small_disk: Path
) -> None:
    """With what to do; when there is room, it goes on."""
    bundle = bundle_of(world, project_of(tmp_path, files=4, size=3 << 20))
    async with host(small_disk / ".hsm") as (link, _):
        with pytest.raises(SourceError, match=r"12\.6 MB of project files do not fit") as refused:
            await ship(world, link, bundle, source="ssh:host", sweep_id=SWEEP)
        assert refused.value.transient
        assert "hsm source clean ssh:host" in refused.value.hint
        await world.blocking(mount, "remount,size=64m", small_disk)
        there = await ship(world, link, bundle, source="ssh:host", sweep_id=SWEEP)
        assert there.objects == 4, "the listing had come before"


async def test_a_disk_that_fills_up_meanwhile_keeps_what_came_whole(
    world: World, tmp_path: Path, small_disk: Path
) -> None:
    """No draft is left, nothing is half there, and only the rest is sent when there is room."""
    bundle = bundle_of(world, project_of(tmp_path, files=5, size=1 << 20))
    root = small_disk / ".hsm"

    class Meanwhile(World):
        """A world in which somebody fills the disk while files are being read."""

        count = 0

        async def blocking(self, function, *args, **kwargs):
            self.count += 1
            if self.count == 4:
                (small_disk / "filled").write_bytes(bytes(shutil.disk_usage(small_disk).free - (5 << 19)))
            return await super().blocking(function, *args, **kwargs)

    busy = Meanwhile()
    async with host(root) as (link, _):
        with pytest.raises(SourceError) as refused:
            await ship(busy, link, bundle, source="ssh:host", sweep_id=SWEEP)
        busy.close()
        assert refused.value.transient
        assert "free some space there" in refused.value.hint
        await link.call("facts")  # answered behind everything that was sent before
        assert list((root / "objects").glob(".*")) == []
        assert list((root / "bundles").iterdir()) == []
        came = len(list((root / "objects").glob("??/*")))
        assert 1 < came < 6
        (small_disk / "filled").unlink()
        there = await ship(world, link, bundle, source="ssh:host", sweep_id=SWEEP)
        assert there.objects == 6 - came


async def test_a_relay_that_is_killed_has_lost_nothing_that_came(world: World, tmp_path: Path) -> None:
    """The link is lost; over another one, what had come does not come again."""
    bundle = bundle_of(world, project_of(tmp_path, files=40, size=1 << 20))
    root = tmp_path / "host" / ".hsm"
    objects = root / "objects"
    async with host(root) as (link, reach), asyncio.TaskGroup() as group:
        shipping = group.create_task(lost(ship(world, link, bundle, source="ssh:host", sweep_id=SWEEP)))
        await world.blocking(until, lambda: len(list(objects.glob("??/*"))) >= 10, "ten objects")
        reach.relays[0].send_signal(signal.SIGKILL)
        assert await shipping
    came = len(list(objects.glob("??/*")))
    assert 10 <= came < 41
    async with host(root) as (link, _):
        there = await ship(world, link, bundle, source="ssh:host", sweep_id=SWEEP)
    assert there.objects == 41 - came
    assert len(list(Path(there.path).rglob("*.bin"))) == 40


async def lost(shipping: Coroutine[Any, Any, Shipped]) -> bool:
    """Tell whether a link was lost, rather than that all of it arrived."""
    with contextlib.suppress(LinkLost):
        await shipping
        return False
    return True


async def test_managers_that_send_the_same_at_once_do_not_disturb_each_other(
    world: World, tmp_path: Path
) -> None:
    """Four of them, each with a relay of its own: one bundle, whole, and nothing of their drafts."""
    project = project_of(tmp_path, files=300, size=2000)
    bundles = [bundle_of(world, project, f"heat-20260101-000000-abc{number}") for number in range(4)]
    root = tmp_path / "host" / ".hsm"

    async def one(bundle: Bundle) -> str:
        async with host(root) as (link, _):
            there = await ship(world, link, bundle, source="ssh:host", sweep_id=bundle.tree.sweep_id)
            return there.path

    assert len(set(await asyncio.gather(*map(one, bundles)))) == 1
    place = root / "bundles" / bundles[0].digest
    assert {path.name: path.read_bytes() for path in place.rglob("*.bin")} == {
        path.name: path.read_bytes() for path in project.rglob("*.bin")
    }
    assert [path for path in root.rglob(".*") if path.name != ".hsm"] == []


async def test_a_host_with_an_old_python_does_the_same(world: World, tmp_path: Path) -> None:
    """The oldest that is promised, with nothing but its standard library."""
    python = _find_python()
    if python is None:
        pytest.skip("NO PYTHON 3.9 on this machine")
    bundle = bundle_of(world, project_of(tmp_path, files=3, size=1000))
    (tmp_path / "home" / "bin").mkdir(parents=True)
    root = tmp_path / "host" / ".hsm"
    code = "import sys; sys.path.insert(0, sys.argv[1]); sys.argv[1:2] = []; "
    code += "from hsm.compute.agent.relay import main; sys.exit(main(sys.argv[2:]))"
    shim = tmp_path / "python"
    source = Path(__file__).resolve().parents[3]
    shim.write_text(
        f"#!/bin/sh\nshift 4\nexec {python} -c '{code}' {source} relay \"$@\"\n"  # for -P -m NAME relay
    )
    shim.chmod(0o755)
    async with host(root, str(shim)) as (link, _):
        there = await ship(world, link, bundle, source="ssh:host", sweep_id=SWEEP)
        spec = EnvironmentSpec(python=python)
        found = await prepare_there(world, link, spec, bundle, source="ssh:host")
    assert len(list(Path(there.path).rglob("*.bin"))) == 3
    assert found.version.startswith("3.9.")
    assert json.loads((root / "bundles" / f"{bundle.digest}.json").read_text())["files"] == 3
