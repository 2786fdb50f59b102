"""Cleaning up a host: what HSM made goes, all else stays, and nothing goes from under an agent that runs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm.compute.agent import retention
from hsm.compute.agent.__main__ import main as agent_main
from hsm.compute.agent.cleaning import Cleaning
from hsm.compute.agent.host import Host
from hsm.compute.agent.pool import mark_of
from hsm.compute.agent.premises import MARKER, Premises, remove_tree
from hsm.compute.agent.relay import Refusal
from hsm.compute.agent.shelf import Shelf
from hsm.compute.agent.starting import AgentLine, Post
from hsm.compute.agent.tenants import Tenant, Tenants
from hsm.compute.link import CallRefused
from hsm.compute.ssh.cleaning import clean, clean_after
from hsm.core.source import CleaningWish, Remnant
from hsm.core.world import World
from hsm.wire.bundle import Item, ItemKind, digest_of, encode_listing
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex
from hsm.wire.log import LogWriter
from hsm.wire.messages import Opened, to_record
from tests.unit.compute.relayed import linked

SWEEP = "heat-20260101-000000-abcd"
OTHER = "heat-20260101-000000-efgh"
EVERYTHING = CleaningWish(is_all=True)


class Later(Host):
    """A machine whose clock is ahead of its disk's, so that nothing is just coming."""

    ahead_s = 2 * retention.OLD_S

    def now(self) -> float:
        return super().now() + self.ahead_s


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "home" / ".hsm"
    Premises(Files(), str(place)).settle()
    yield place
    remove_tree(Files(), str(tmp_path / "home"))


def put(root: Path, name: str, content: bytes) -> str:
    """Make a bundle of one file, and return its digest."""
    shelf = Shelf(Premises(Files(), str(root)), Later())
    item = Item(name, ItemKind.FILE, sha256_hex(content), len(content))
    listing = encode_listing([item])
    for data in (content, listing):
        path = Path(shelf.objects.path(sha256_hex(data)))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    shelf.assemble(digest_of(listing), [item])
    return digest_of(listing)


def use(root: Path, sweep: str, digest: str) -> Path:
    """Let a sweep use a bundle; return the directory that it has on the host."""
    home = root / "sweeps" / sweep / ".hsm"
    home.mkdir(parents=True, exist_ok=True)
    (home / "bundle").write_text(digest)
    return home.parent


def tenant(sweep: Path, source: str = "ssh:host", *, host: str | None = None, pid: int = 1) -> Path:
    """Let an agent have been there, which is not running."""
    home = sweep / ".hsm" / "agents" / source
    (home / "records").mkdir(parents=True)
    opened = Opened(1, "0", "3", host or Host().name(), pid, "start", "boot", "", 0.0)
    LogWriter.create(Files(), str(home / "records" / "000001.log"), to_record(opened)).close()
    return home


async def cleaned(root: Path, wish: CleaningWish, host: Host | None = None) -> dict[str, Remnant]:
    async with linked([Cleaning(host or Later(), str(root))]) as link:
        return {one.path: one for one in await clean(link, "ssh:host", wish)}


def snapshot(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


async def test_what_no_sweep_uses_goes(root: Path) -> None:
    """A bundle and its objects, unless another bundle has them too; sweeps stay, and are told."""
    spare, used = put(root, "a", b"spare"), put(root, "b", b"used")
    shared = put(root, "c", b"used")
    use(root, SWEEP, used)
    before = snapshot(root)
    told = await cleaned(root, CleaningWish(is_dry=True))
    assert snapshot(root) == before
    found = await cleaned(root, CleaningWish())
    assert found == told
    assert set(found) == {f"bundles/{spare}", f"bundles/{shared}", "objects", f"sweeps/{SWEEP}"}
    assert found["objects"].files == 3
    assert found["objects"].bytes > len(b"spare")
    assert found[f"sweeps/{SWEEP}"].kept_because == "its results may not be home yet"
    assert (root / "bundles" / used / "b").read_bytes() == b"used"
    assert {path.name for path in (root / "bundles").iterdir()} == {used, f"{used}.json"}


async def test_agents_of_other_versions_go_when_none_runs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of this relay stays, for the next one is likely to be of the same version."""
    for letter in "abc":
        (root / "agents" / (letter * 64)).mkdir(parents=True)
        (root / "agents" / (letter * 64) / "hsm-agent.pyz").write_bytes(b"zip")
    monkeypatch.setattr("sys.argv", [str(root / "agents" / ("b" * 64) / "hsm-agent.pyz"), "relay"])
    lock = Files().lock(str(tenant(use(root, SWEEP, "x" * 64)) / "lock"))
    assert set(await cleaned(root, CleaningWish())) == {f"sweeps/{SWEEP}"}
    Files().close(lock)
    found = await cleaned(root, CleaningWish())
    assert set(found) == {f"agents/{'a' * 64}", f"agents/{'c' * 64}", f"sweeps/{SWEEP}"}
    assert [path.name for path in (root / "agents").iterdir()] == ["b" * 64]


async def test_what_is_just_coming_stays(root: Path) -> None:
    """Objects and drafts that another manager sends at this moment are in no bundle yet."""
    spare = put(root, "a", b"spare")
    draft = root / "objects" / f".{spare}.word"
    draft.write_bytes(b"half")
    found = await cleaned(root, CleaningWish(), Host())
    assert set(found) == {f"bundles/{spare}"}
    assert draft.exists()
    assert set(await cleaned(root, CleaningWish())) == {"objects", f"objects/{draft.name}"}
    assert not draft.exists()


async def test_one_sweep_goes_with_all_that_it_left(root: Path) -> None:
    """Read-only directories too; what its links lead to stays."""
    sweep = use(root, SWEEP, "x" * 64)
    tenant(sweep)
    treasure = root.parent / "treasure"
    treasure.mkdir()
    (treasure / "gold").write_text("1")
    work = sweep / ".hsm" / "work" / "task_0001.1-abc"
    work.mkdir(parents=True)
    (work / "out").symlink_to(treasure)
    (work / "result").write_bytes(bytes(1000))
    (work / "loop").symlink_to(work)
    work.chmod(0o500)
    use(root, OTHER, "x" * 64)
    found = await cleaned(root, CleaningWish(sweep=SWEEP))
    assert found[f"sweeps/{SWEEP}"].bytes >= 1000
    assert not sweep.exists()
    assert (root / "sweeps" / OTHER).exists()
    assert (treasure / "gold").read_text() == "1"
    assert await cleaned(root, CleaningWish(sweep=SWEEP)) == {}


async def test_everything_goes_and_the_directory_with_it(root: Path) -> None:
    """Nothing that HSM made is left on the host."""
    use(root, SWEEP, put(root, "a", b"x"))
    (root / "agents" / ("f" * 64)).mkdir(parents=True)
    (root / "agents" / ("f" * 64) / "hsm-agent.pyz").write_bytes(b"zip")
    before = snapshot(root)
    told = await cleaned(root, CleaningWish(is_all=True, is_dry=True))
    assert snapshot(root) == before
    assert await cleaned(root, EVERYTHING) == told
    assert set(told) == {f"sweeps/{SWEEP}", "agents", "bundles", "objects"}
    assert list(root.parent.iterdir()) == []
    assert await cleaned(root, EVERYTHING) == {}


async def test_a_dry_run_makes_nothing_either(tmp_path: Path) -> None:
    """Where only the agent has been sent so far, it stays the only thing there."""
    place = tmp_path / ".hsm"
    (place / "agents" / ("f" * 64)).mkdir(parents=True)
    for wish in (CleaningWish(is_dry=True), CleaningWish(is_all=True, is_dry=True)):
        assert len(await cleaned(place, wish)) == 1
    assert snapshot(place) == {"agents", f"agents/{'f' * 64}"}


async def test_what_somebody_put_there_stays(root: Path) -> None:
    """In the directory itself and in each of ours; it is told, and the rest goes."""
    put(root, "a", b"x")
    (root / "notes.txt").write_text("mine")
    (root / "objects" / "keep.me").write_text("mine")
    (root / "sweeps" / "Not A Sweep").mkdir()
    (root / "bundles" / ("e" * 64)).symlink_to(root.parent)
    found = await cleaned(root, EVERYTHING)
    kept = {name for name, one in found.items() if one.kept_because}
    assert kept == {"notes.txt", "objects", "sweeps"}
    assert snapshot(root) == {MARKER, *kept, "objects/keep.me", "sweeps/Not A Sweep"}


async def test_a_sweep_that_runs_is_not_touched(root: Path) -> None:
    """Nor anything else that was asked for, though other sweeps are idle."""
    home = tenant(use(root, SWEEP, put(root, "a", b"x")))
    tenant(use(root, OTHER, "x" * 64))
    files = Files()
    lock = files.lock(str(home / "lock"))
    before = snapshot(root)
    for wish in (EVERYTHING, CleaningWish(sweep=SWEEP), CleaningWish(sweep=SWEEP, is_forced=True)):
        with pytest.raises(CallRefused, match=f"an agent runs for sweep {SWEEP} \\(ssh:host\\)"):
            await cleaned(root, wish)
    assert snapshot(root) - before <= {f"sweeps/{OTHER}/.hsm/agents/ssh:host/lock"}
    assert (await cleaned(root, CleaningWish()))[f"sweeps/{SWEEP}"].kept_because == "an agent runs"
    files.close(lock)
    assert f"sweeps/{SWEEP}" in await cleaned(root, CleaningWish(sweep=SWEEP))


async def test_an_agent_of_another_host_on_the_same_disk_is_not_disturbed(root: Path) -> None:
    """Its lock may not be seen from here; by force it is gone all the same."""
    sweep = use(root, SWEEP, "x" * 64)
    tenant(sweep, host="node-17")
    with pytest.raises(CallRefused, match="may run on node-17"):
        await cleaned(root, CleaningWish(sweep=SWEEP))
    assert f"sweeps/{SWEEP}" in await cleaned(root, CleaningWish(sweep=SWEEP, is_forced=True))
    assert not sweep.exists()


@pytest.mark.parametrize("sweep", ["../../etc", "", ".", "a/b", "A", "x" * 300])
async def test_no_other_name_is_taken_for_a_sweep(root: Path, sweep: str) -> None:
    """Refused before anything is removed."""
    with pytest.raises(CallRefused, match="no sweep has the id"):
        await cleaned(root, CleaningWish(sweep=sweep))


async def test_a_directory_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """A home directory, a link to one, one of another user: not even looked into."""
    home = tmp_path / "home"
    (home / "sweeps").mkdir(parents=True)
    (home / "thesis").write_text("x")
    (tmp_path / "link").symlink_to(home)
    for place, words in ((home, "was not made by HSM"), (tmp_path / "link", "is no directory")):
        with pytest.raises(CallRefused, match=words):
            await cleaned(place, EVERYTHING)
    if os.geteuid() == 0:
        (home / "thesis").unlink()
        os.chown(home, 12345, 12345)
        with pytest.raises(CallRefused, match="belongs to another user"):
            await cleaned(home, EVERYTHING)
    assert (home / "sweeps").exists()
    assert await cleaned(tmp_path / "nowhere", EVERYTHING) == {}


# When a sweep is over


async def over(root: Path, source: str = "ssh:host") -> dict[str, str]:
    async with linked([Cleaning(Host(), str(root))]) as link:
        return {one.path: one.kept_because for one in await clean_after(link, source, SWEEP)}


async def test_a_sweep_that_is_over_leaves_its_bundle_alone(root: Path) -> None:
    """What it left goes; the next one finds the bundle."""
    digest = put(root, "a", b"x")
    tenant(use(root, SWEEP, digest))
    assert await over(root) == {f"sweeps/{SWEEP}": ""}
    assert list((root / "sweeps").iterdir()) == []
    assert (root / "bundles" / digest / "a").exists()
    assert await over(root) == {}


@contextmanager
def left_by_a_batch(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Let a process run that a batch of this agent left, as one does whose agent was killed."""
    (home / "shared" / Host().name()).mkdir(parents=True)
    environment = {**os.environ, "HSM_TOKEN": f"{mark_of(str(home))}1w1"}
    with subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("is_asked", [True, False], ids=["clean", "over"])
async def test_what_a_batch_left_running_ends_before_its_sweep_is_removed(root: Path, is_asked: bool) -> None:
    """Its agent was killed, and none comes back for a sweep that is gone (seed 94899)."""
    sweep, other = use(root, SWEEP, "x" * 64), use(root, OTHER, "x" * 64)
    with left_by_a_batch(tenant(sweep)) as left, left_by_a_batch(tenant(other)) as stays:
        await cleaned(root, CleaningWish(sweep=SWEEP, is_dry=True))
        assert left.poll() is None, "a dry run ends nothing"
        await (cleaned(root, CleaningWish(sweep=SWEEP)) if is_asked else over(root))
        assert left.wait(10) == -signal.SIGKILL
        assert stays.poll() is None, "it is of another sweep"
    assert not sweep.exists()


async def test_checkpoints_stay_where_tasks_may_be_tried_again(root: Path) -> None:
    """All else goes; where there are none, the whole of it."""
    sweep = use(root, SWEEP, "x" * 64)
    for again in (False, True):
        tenant(sweep)
        (sweep / "logs").mkdir(exist_ok=True)
        state = sweep / ".hsm" / "checkpoints" / "task_0001"
        if not again:
            state.mkdir(parents=True)
            (state / "state.json").write_text("{}")
        async with linked([Cleaning(Host(), str(root))]) as link:
            found = await clean_after(link, "ssh:host", SWEEP, keeps_checkpoints=True)
        assert {one.path: one.kept_because for one in found} == {
            f"sweeps/{SWEEP}": "",
            f"sweeps/{SWEEP}/.hsm/checkpoints": "tasks may be tried again",
        }
        left = {path.relative_to(sweep).as_posix() for path in sweep.rglob("*") if path.is_file()}
        assert left == {".hsm/checkpoints/task_0001/state.json"}
    tenant(sweep)
    assert await over(root) == {f"sweeps/{SWEEP}": ""}
    assert not sweep.exists()


async def test_of_two_sources_on_one_disk_the_last_removes_the_rest(root: Path) -> None:
    """Each removes its own first, so that neither takes away what the other still has."""
    sweep = use(root, SWEEP, "x" * 64)
    tenant(sweep, "ssh:one", host="one")
    tenant(sweep, "ssh:two", host="two")
    assert await over(root, "ssh:one") == {f"sweeps/{SWEEP}/ssh:one": ""}
    assert sweep.exists()
    assert await over(root, "ssh:nobody") == {}
    assert await over(root, "ssh:two") == {f"sweeps/{SWEEP}": ""}
    assert not sweep.exists()


def test_an_agent_that_leaves_at_this_moment_has_left(root: Path) -> None:
    """Its lock was held when it was tried, and its process is gone when that is looked for."""
    home = tenant(use(root, SWEEP, "x" * 64))
    files = Files()
    held = [files.lock(str(home / "lock"))]

    class Leaving(Host):
        def name(self) -> str:
            if held:
                files.close(held.pop())
            return super().name()

    lock = Tenants(Leaving()).lock_when_left(Tenant(str(home)))
    assert lock is not None
    files.close(lock)


async def test_an_agent_that_does_not_leave_keeps_its_sweep(root: Path) -> None:
    """It is told, and nothing is removed."""
    sweep = use(root, SWEEP, "x" * 64)
    files = Files()
    lock = files.lock(str(tenant(sweep) / "lock"))
    assert await over(root) == {f"sweeps/{SWEEP}": "an agent runs"}
    files.close(lock)
    assert sweep.exists()


class Late(Host):
    """A machine on which a relay starts an agent just while its sweep is being removed."""

    def __init__(self, sweep: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        home = sweep / ".hsm" / "agents" / "ssh:host"
        log = sweep / "logs" / "sources" / "ssh:host.log"
        line = AgentLine(self, Post(str(sweep), str(home), str(log)))

        class Meanwhile(Files):
            def remove_tree(self, path: str) -> None:
                with pytest.raises(Refusal) as refused:
                    line.bring_up()
                words.append(str(refused.value))
                super().remove_tree(path)

        words, self.files = self.words, Meanwhile()


@pytest.mark.parametrize("keeps", [False, True])
async def test_an_agent_that_is_started_meanwhile_finds_no_place_to_leave_anything(
    root: Path, keeps: bool
) -> None:
    """Neither itself nor its log; checkpoints stay all the same."""
    sweep = use(root, SWEEP, "x" * 64)
    tenant(sweep)
    (sweep / "logs" / "sources").mkdir(parents=True)
    (sweep / "logs" / "sources" / "ssh:host.log").write_text("its agent's words")
    state = sweep / ".hsm" / "checkpoints" / "task_0001"
    state.mkdir(parents=True)
    host = Late(sweep)
    async with linked([Cleaning(host, str(root))]) as link:
        await clean_after(link, "ssh:host", SWEEP, keeps_checkpoints=keeps)
    assert host.words
    assert all("cannot be started" in words for words in host.words)
    assert not (sweep / "logs").exists()
    assert [path.name for path in (root / "sweeps").iterdir()] == ([SWEEP] if keeps else [])
    assert state.exists() == keeps


def test_an_agent_makes_nothing_anew_of_a_sweep_that_was_removed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started before that, and came to it after."""
    sweep = root / "sweeps" / SWEEP
    monkeypatch.setattr("sys.argv", ["hsm-agent", str(sweep), str(sweep / ".hsm/agents/ssh:host")])
    assert "its sweep was removed" in str(agent_main())
    assert not sweep.exists()


async def test_what_a_removal_that_was_cut_off_has_left_goes_later(root: Path) -> None:
    """After a while with what no sweep uses, at once with everything."""
    left = root / "sweeps" / ".0123456789abcdef.gone" / "logs"
    left.mkdir(parents=True)
    assert await cleaned(root, CleaningWish(), Host()) == {}
    assert set(await cleaned(root, CleaningWish())) == {"sweeps/.0123456789abcdef.gone"}
    assert list((root / "sweeps").iterdir()) == []
    left.mkdir(parents=True)
    assert set(await cleaned(root, EVERYTHING)) == {"sweeps"}
    assert not root.exists()


# What goes by itself


def test_the_bundles_that_were_used_last_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number or a size; those that a sweep uses, and the newest, stay in any case."""
    monkeypatch.setattr(retention, "KEPT_BUNDLES", 3)
    host = Later()
    digests = []
    for number in range(6):
        host.__class__.ahead_s += 10
        digests.append(put(root, "a", b"%d" % number))
    use(root, SWEEP, digests[0])
    premises = Premises(Files(), str(root))
    shelf = Shelf(premises, host)
    retention.Retention(host, premises, shelf).keep_few(digests[5])
    assert set(shelf.digests()) == {digests[0], *digests[3:]}
    assert shelf.objects.lacking([Item("a", ItemKind.FILE, sha256_hex(b"1"), 1)]) != []
    monkeypatch.setattr(retention, "KEPT_BYTES", 1)
    retention.Retention(host, premises, shelf).keep_few(digests[5])
    assert set(shelf.digests()) == {digests[0], digests[5]}


def test_a_world_of_one_machine_leaves_nothing_outside(tmp_path: Path) -> None:
    """The local source has nothing to clean."""
    import asyncio

    from hsm.compute.local import LocalSource
    from hsm.core.spec import SourceSpec

    source = LocalSource(World(), SourceSpec(kind="local"), tmp_path)
    assert asyncio.run(source.clean(EVERYTHING)) == ()
