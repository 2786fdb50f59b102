"""Environments on a host: made in a login shell there, whose noise is never data; the record kept at home."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hsm.compute.agent.host import Host
from hsm.compute.agent.preparing import ENVIRONMENT, Preparing, environment_of
from hsm.compute.agent.relay import Answer, Service
from hsm.compute.link import CallRefused
from hsm.compute.ssh import environments
from hsm.compute.ssh.environments import HostEnvironment, prepare_there
from hsm.core.bundle import Bundle
from hsm.core.errors import SourceError
from hsm.core.spec import EnvironmentSpec
from hsm.core.world import World
from hsm.wire.files import Files
from hsm.wire.link import DONE, Packet
from tests.unit.compute.relayed import linked
from tests.unit.compute.test_bundles import SWEEP, bundle_from

pytestmark = pytest.mark.integration

PROFILE = """
echo "Welcome to alpha!"; echo '{"PATH": "/evil"}'; echo "@@hsm" >&2
module() {
    case "$2" in
    gcc/*) export LOADEDMODULES="$2" PATH="$HOME/modules/bin:$PATH"; echo "loading $2" ;;
    *) echo "Unable to locate a modulefile for '$2'" >&2; return 1 ;;
    esac
}
"""


class Remote(Host):
    """A host whose login environment is known."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._variables = {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin", "KEPT": "as it was"}

    def environment(self) -> dict[str, str]:
        return dict(self._variables)


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home directory on the host, with a `python3` and a shell's profile that talks."""
    place = tmp_path / "home"
    (place / "bin").mkdir(parents=True)
    (place / "modules" / "bin").mkdir(parents=True)
    (place / "bin" / "python3").symlink_to(sys.executable)
    (place / ".bash_profile").write_text(PROFILE)
    return place


@pytest.fixture
def bundle(world: World, tmp_path: Path, home: Path) -> Bundle:
    """A sweep's bundle, as it lies on the host."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "env.sh").write_text("echo setting up; export FROM_SCRIPT='two\nlines'; unset KEPT\n")
    (project / "broken.sh").write_text("echo first; echo worse >&2; false\n")
    (project / "early.sh").write_text("echo bye; exit 0\n")
    found = bundle_from(world, project)
    shutil.copytree(project, home / ".hsm" / "bundles" / found.digest)
    return found


async def prepared(
    world: World, home: Path, bundle: Bundle, spec: EnvironmentSpec, programs: tuple[str, ...] = ()
) -> HostEnvironment:
    async with linked([Preparing(Remote(home), str(home / ".hsm"))]) as link:
        return await prepare_there(world, link, spec, bundle, source="ssh:alpha", programs=programs)


def agents_home(home: Path) -> Path:
    return home / ".hsm" / "sweeps" / SWEEP / ".hsm" / "agents" / "ssh:alpha"


def kept(home: Path) -> Mapping[str, str]:
    """Return the variables that the agent will be started with."""
    found = environment_of(Files(), str(agents_home(home)))
    assert found is not None
    return found


async def test_nothing_asked_is_the_login_environment(world: World, home: Path, bundle: Bundle) -> None:
    """`python` is the first that a shell would find there; no shell is run, no log written."""
    found = await prepared(world, home, bundle, EnvironmentSpec())
    assert found.python == f"{home}/bin/python3"
    assert found.version == sys.version.split()[0]
    assert found.interpreter == {"path": found.python, "version": found.version}
    assert kept(home) == Remote(home).environment()
    assert not list((bundle.tree.scripts).rglob("*"))


async def test_a_set_up_reaches_the_agent_and_its_record_the_sweep(
    world: World, home: Path, bundle: Bundle
) -> None:
    """Modules and script change the variables; greetings and module noise are in nothing but the log."""
    spec = EnvironmentSpec(modules=("gcc/13",), setup="env.sh", variables={"MINE": "1"})
    await prepared(world, home, bundle, spec)
    variables = kept(home)
    assert variables["FROM_SCRIPT"] == "two\nlines"
    assert (variables["LOADEDMODULES"], variables["MINE"]) == ("gcc/13", "1")
    assert variables["PATH"].startswith(f"{home}/modules/bin:")
    assert "KEPT" not in variables
    scripts = bundle.tree.scripts / "setup_scripts"
    assert (scripts / "ssh:alpha.log").read_text() == "loading gcc/13\nsetting up\n"
    assert "module load gcc/13" in (scripts / "ssh:alpha.sh").read_text()
    assert (scripts / "ssh:alpha.setup.sh").read_text() == (bundle.project / "env.sh").read_text()


async def test_variables_stay_on_the_host_for_the_owner_alone(
    world: World, home: Path, bundle: Bundle
) -> None:
    """A token that a profile exports is in no log at home, and in one file there that others cannot read."""
    (home / ".bash_profile").write_text("export SECRET=hunter2\n")
    await prepared(world, home, bundle, EnvironmentSpec(setup="env.sh"))
    assert kept(home)["SECRET"] == "hunter2"
    place = agents_home(home) / ENVIRONMENT
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert {path.name for path in agents_home(home).iterdir()} == {ENVIRONMENT, "setup.log"}
    for path in bundle.tree.root.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes()


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        ("broken.sh", "setting up failed: worse"),
        ("early.sh", "setting up failed: bye"),
        ("missing.sh", "there is no set-up script"),
    ],
)
async def test_a_set_up_that_fails_is_told_with_its_log(
    world: World, home: Path, bundle: Bundle, setup: str, words: str
) -> None:
    """Also one that ends the shell before its end; trying again changes nothing."""
    with pytest.raises(SourceError, match=words) as failed:
        await prepared(world, home, bundle, EnvironmentSpec(setup=setup))
    assert not failed.value.transient
    log = bundle.tree.scripts / "setup_scripts" / "ssh:alpha.log"
    if setup != "missing.sh":
        assert str(log) in failed.value.hint
        assert log.read_text() in ("first\nworse\n", "bye\n")
    assert environment_of(Files(), str(agents_home(home))) is None


async def test_a_set_up_that_never_ends_is_ended(
    world: World, home: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that it started; the link is answered meanwhile."""
    monkeypatch.setattr("hsm.wire.environment.SETUP_S", 0.6)
    there = home / ".hsm" / "bundles" / bundle.digest
    (there / "env.sh").write_text("echo $$ >$HOME/shell; sleep 1000 & echo $! >$HOME/child; wait\n")
    async with linked([Preparing(Remote(home), str(home / ".hsm"))]) as link:
        asked = prepare_there(world, link, EnvironmentSpec(setup="env.sh"), bundle, source="ssh:alpha")
        with pytest.raises(SourceError, match=r"setting up failed: it took longer than 0\.6 s"):
            await asked
    child = int((home / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_a_daemon_of_the_set_up_is_not_waited_for(world: World, home: Path, bundle: Bundle) -> None:
    """An `ssh-agent` that keeps the output open does not hold up the sweep."""
    there = home / ".hsm" / "bundles" / bundle.digest
    (there / "env.sh").write_text("sleep 30 & export PID=$!\n")
    await prepared(world, home, bundle, EnvironmentSpec(setup="env.sh"))
    os.kill(int(kept(home)["PID"]), 9)


async def test_prefixes_count_from_the_home_directory(world: World, home: Path, bundle: Bundle) -> None:
    """With `~/` or without; a set-up script lies in the bundle, unless it begins so."""
    (home / "envs" / "torch" / "bin").mkdir(parents=True)
    (home / "envs" / "torch" / "bin" / "python").symlink_to(sys.executable)
    (home / "site.sh").write_text("export SITE=1\n")
    for prefix in ("envs/torch", "~/envs/torch", f"{home}/envs/torch"):
        found = await prepared(world, home, bundle, EnvironmentSpec(prefix=prefix, setup="~/site.sh"))
        assert found.python == f"{home}/envs/torch/bin/python"
        assert kept(home)["VIRTUAL_ENV"] == f"{home}/envs/torch"
        assert kept(home)["SITE"] == "1"
    with pytest.raises(SourceError, match=f"there is no interpreter at {home}/nowhere/bin/python"):
        await prepared(world, home, bundle, EnvironmentSpec(prefix="nowhere"))


async def test_an_interpreter_that_does_not_run_is_told(world: World, home: Path, bundle: Bundle) -> None:
    """One of another machine, for example."""
    fake = home / "bin" / "fake"
    fake.write_text("#!/bin/sh\nexit 9\n")
    fake.chmod(0o755)
    with pytest.raises(SourceError, match="does not run: exit code 9"):
        await prepared(world, home, bundle, EnvironmentSpec(python="fake"))


async def test_programs_are_looked_for_on_the_path_there(world: World, home: Path, bundle: Bundle) -> None:
    """So that reports tell which one it was; what is not there stays a name."""
    tool = home / "modules" / "bin" / "simulate"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    spec = EnvironmentSpec(modules=("gcc/13",))
    found = await prepared(world, home, bundle, spec, ("simulate", "nowhere-at-all"))
    assert found.resolve(["simulate", "-x"]) == (str(tool), "-x")
    assert found.resolve(["nowhere-at-all"]) == ("nowhere-at-all",)
    assert found.resolve(["python", "a.py"]) == (found.python, "a.py")
    assert found.resolve([]) == ()


async def test_gpus_are_those_that_the_environment_leaves(world: World, home: Path, bundle: Bundle) -> None:
    """`CUDA_VISIBLE_DEVICES` of the set-up says which may be given out."""
    there = home / ".hsm" / "bundles" / bundle.digest
    (there / "env.sh").write_text("export CUDA_VISIBLE_DEVICES=1,3,GPU-3c1a\n")
    found = await prepared(world, home, bundle, EnvironmentSpec(setup="env.sh"))
    assert found.gpus == ("1", "3", "GPU-3c1a")


class Hostile(Service):
    """A host that describes whatever environment it likes."""

    def __init__(self, *answers: Packet) -> None:
        self._said = answers

    def answers(self) -> dict[str, Answer]:
        return {"prepare": lambda _: iter(self._said)}


FINE = {"python": "/bin/python3", "version": "3.9", "gpus": [], "programs": {}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"python": "python3"},
        {"python": "/bin/py\nthon"},
        {"python": None},
        {"python": "/" + "x" * 5000},
        {"gpus": None},
        {"programs": []},
    ],
)
async def test_no_nonsense_gets_into_a_command(
    world: World, home: Path, bundle: Bundle, wrong: dict[str, object]
) -> None:
    """What is no absolute, printable path is no interpreter."""
    async with linked([Hostile(Packet(DONE, 0, {**FINE, **wrong}))]) as link:
        with pytest.raises(SourceError, match="describes no environment"):
            await prepare_there(world, link, EnvironmentSpec(), bundle, source="ssh:alpha")


async def test_what_a_host_says_is_cut_to_what_can_be_meant(
    world: World, home: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log without end, GPUs and programs that are none, a message with control characters."""
    monkeypatch.setattr(environments, "MAX_LOG_BYTES", 100)
    said = {**FINE, "gpus": ["0", "a b", 7, "1"], "programs": {"x": "y", "z": "/z"}, "version": "\x1b[2J"}
    log = [Packet("script", 0, {}, b"s")] + [Packet("log", 0, {}, b"l" * 60)] * 50
    async with linked([Hostile(*log, Packet(DONE, 0, said))]) as link:
        found = await prepare_there(world, link, EnvironmentSpec(), bundle, source="ssh:alpha")
    assert (found.gpus, found.programs, found.version) == (("0", "1"), {"z": "/z"}, "?[2J")
    assert (bundle.tree.scripts / "setup_scripts" / "ssh:alpha.log").stat().st_size <= 160
    async with linked([Hostile(Packet(DONE, 0, {"fault": "\x1b]0;evil\x07"}))]) as link:
        with pytest.raises(SourceError, match=r"\?\]0;evil\?"):
            await prepare_there(world, link, EnvironmentSpec(), bundle, source="ssh:alpha")


@pytest.mark.parametrize("field", ["source", "digest", "sweep"])
async def test_no_place_outside_is_prepared(home: Path, field: str) -> None:
    """A manager that asks for one is refused."""
    spec: dict[str, object] = {
        "python": None,
        "prefix": None,
        "modules": [],
        "setup": None,
        "variables": {},
        "programs": [],
    }
    asked = {"source": "ssh:alpha", "digest": "a" * 64, "sweep": SWEEP, **spec, field: "../../x"}
    async with linked([Preparing(Remote(home), str(home / ".hsm"))]) as link:
        with pytest.raises(CallRefused):
            await link.call("prepare", asked)
    assert not (home / ".hsm").exists()
