"""The sweep's bundle on its way: any project arrives as it was, and only what is lacking travels."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.compute.agent.bundling import Bundling
from hsm.compute.agent.host import Host
from hsm.compute.agent.premises import remove_tree
from hsm.compute.agent.relay import Answer, Service
from hsm.compute.link import Link
from hsm.compute.ssh import bundles
from hsm.compute.ssh.bundles import Shipped, bundle_of, packets, ship
from hsm.core.bundle import Bundle, write_listing
from hsm.core.errors import SourceError
from hsm.core.program import pin
from hsm.core.source import SweepContext
from hsm.core.spec import ProgramSpec, Resources
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex
from hsm.wire.link import DONE, Packet
from tests.unit.compute.relayed import linked

SWEEP = "heat-20260101-000000-abcd"


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "lib").mkdir(parents=True)
    (root / "run.py").write_text("print(1)\n")
    (root / "lib" / "model.py").write_text("x = 1\n")
    (root / "tool.sh").write_text("#!/bin/sh\n")
    (root / "tool.sh").chmod(0o755)
    (root / "latest").symlink_to("lib")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "host" / ".hsm"
    remove_tree(Files(), str(tmp_path / "host"))


def bundle_from(world: World, project: Path, *patterns: str, sweep: str = SWEEP) -> Bundle:
    """Begin a sweep of a project, and return its bundle."""
    tree = SweepTree(project.parent / "outputs" / sweep)
    tree.hsm.mkdir(parents=True, exist_ok=True)
    spec = ProgramSpec(command=("true",), files=patterns or ("**/*",))
    write_listing(world.files, tree, pin(world, spec, project))
    found = Bundle.of_sweep(world.files, tree, project)
    assert found is not None
    return found


def links_too(bundle: Bundle, project: Path) -> dict[str, object]:
    """Return what stands in a project, as far as it is in a bundle."""
    return {item.path: look(project / item.path) for item in bundle.items}


def look(path: Path) -> object:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes(), bool(path.stat().st_mode & 0o100)


@asynccontextmanager
async def host(root: Path) -> AsyncIterator[Link]:
    async with linked([Bundling(Host(), str(root))]) as link:
        yield link


async def shipped(world: World, root: Path, bundle: Bundle) -> Shipped:
    async with host(root) as link:
        return await ship(world, link, bundle, source="ssh:host", sweep_id=bundle.tree.sweep_id)


async def test_a_project_arrives_as_it_was(world: World, project: Path, root: Path) -> None:
    """Contents, modes and links, read-only, under the digest of its listing."""
    bundle = bundle_from(world, project)
    there = await shipped(world, root, bundle)
    assert there.path == f"{root}/bundles/{bundle.digest}"
    arrived = Path(there.path)
    assert links_too(bundle, arrived) == links_too(bundle, project)
    found = {path.relative_to(arrived).as_posix() for path in arrived.rglob("*") if not path.is_dir()}
    assert found == {item.path for item in bundle.items}
    writable = [path for path in [arrived, *arrived.rglob("*")] if path.lstat().st_mode & 0o222]
    assert [path for path in writable if not path.is_symlink()] == []
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert (root / "sweeps" / SWEEP / ".hsm" / "bundle").read_text() == bundle.digest


async def test_nothing_travels_twice(world: World, project: Path, root: Path) -> None:
    """A second sweep of the same project sends nothing; of a changed one, what changed and the listing."""
    first = await shipped(world, root, bundle_from(world, project))
    assert first.objects == 4
    again = await shipped(world, root, bundle_from(world, project, sweep=SWEEP.replace("abcd", "efgh")))
    assert (again.path, again.objects, again.bytes) == (first.path, 0, 0)
    (project / "lib" / "model.py").write_text("x = 2\n")
    changed = await shipped(world, root, bundle_from(world, project, sweep=SWEEP.replace("abcd", "ijkl")))
    assert changed.objects == 2
    assert (Path(first.path) / "lib" / "model.py").read_text() == "x = 1\n"
    assert (Path(changed.path) / "lib" / "model.py").read_text() == "x = 2\n"


CONTENT = st.one_of(
    st.binary(max_size=20), st.sampled_from([b"", b"same", bytes(1 << 20), bytes((1 << 20) + 1)])
)
NAME = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@given(tree=st.recursive(CONTENT, lambda inner: st.dictionaries(NAME, inner, max_size=4), max_leaves=12))
@settings(max_examples=8)
@pytest.mark.slow
async def test_any_tree_of_files_arrives(tree: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the names, the depth and the contents, equal ones and empty ones too."""
    place = tmp_path_factory.mktemp("any")
    lay(place / "project", tree if isinstance(tree, dict) else {"one": tree})
    world = World()
    bundle = bundle_from(world, place / "project") if any_file(tree) else None
    if bundle is not None:
        there = await shipped(world, place / "host", bundle)
        assert links_too(bundle, Path(there.path)) == links_too(bundle, place / "project")
        kept = {path for path in Path(there.path).rglob("*") if not path.is_dir()}
        assert len(kept) == sum(not path.is_dir() for path in (place / "project").rglob("*"))
    world.close()
    remove_tree(Files(), str(place))


def lay(place: Path, tree: object) -> None:
    if isinstance(tree, bytes):
        place.write_bytes(tree)
        return
    place.mkdir()
    assert isinstance(tree, dict)
    for name, inner in tree.items():
        lay(place / name, inner)


def any_file(tree: object) -> bool:
    return isinstance(tree, bytes) or (isinstance(tree, dict) and any(map(any_file, tree.values())))


@given(
    sizes=st.lists(st.sampled_from([0, 1, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]), max_size=6)
)
@settings(max_examples=20)
def test_packets_hold_every_byte_once_and_none_is_too_large(sizes: list[int]) -> None:
    """Small objects share a packet, a large one has several in order."""
    contents = {sha256_hex(b"%d" % number): bytes(size) for number, size in enumerate(sizes)}
    came: dict[str, int] = {}
    for fields, body in packets(contents):
        assert len(body) <= 1 << 20
        assert sum(part[2] for part in fields["parts"]) <= 1 << 20
        for sha256, start, length, size in fields["parts"]:
            assert came.get(sha256, 0) == start
            assert size == len(contents[sha256])
            came[sha256] = start + length
    assert came == {sha256: len(content) for sha256, content in contents.items()}


# What the host finds damaged


@pytest.mark.parametrize("harm", ["write", "add", "remove", "link", "truncate"])
async def test_a_damaged_bundle_is_made_anew(world: World, project: Path, root: Path, harm: str) -> None:
    """Written to, with a file more or less, or with a link in place of a file: never started from."""
    bundle = bundle_from(world, project)
    there = Path((await shipped(world, root, bundle)).path)
    there.chmod(0o700)
    victim = there / "run.py"
    victim.chmod(0o600)
    if harm == "write":
        victim.write_text("print(2)\n")
    elif harm == "truncate":
        victim.write_text("")
    elif harm == "add":
        (there / "random.py").write_text("evil")
    else:
        victim.unlink()
    if harm == "link":
        victim.symlink_to("tool.sh")
    again = await shipped(world, root, bundle)
    assert again.objects == (1 if harm in ("write", "truncate") else 0), "the object was the same file"
    assert links_too(bundle, there) == links_too(bundle, project)
    assert not (there / "random.py").exists()


async def test_byte_code_beside_the_modules_is_no_damage(world: World, project: Path, root: Path) -> None:
    """Root may write everywhere, and Python then keeps its byte code there."""
    bundle = bundle_from(world, project)
    there = Path((await shipped(world, root, bundle)).path)
    (there / "lib").chmod(0o700)
    (there / "lib" / "__pycache__").mkdir()
    (there / "lib" / "__pycache__" / "model.pyc").write_bytes(b"x")
    before = there.stat().st_ino
    await shipped(world, root, bundle)
    assert there.stat().st_ino == before


async def test_a_damaged_object_is_sent_again(world: World, project: Path, root: Path) -> None:
    """A bundle is made of what was read and found right, not of names."""
    bundle = bundle_from(world, project)
    there = Path((await shipped(world, root, bundle)).path)
    remove_tree(Files(), str(there))
    victim = root / "objects" / sha256_hex(b"print(1)\n")[:2] / sha256_hex(b"print(1)\n")
    victim.chmod(0o600)
    victim.write_text("print(9)\n")
    again = await shipped(world, root, bundle)
    assert again.objects == 1
    assert (there / "run.py").read_text() == "print(1)\n"


async def test_two_managers_may_make_the_same_bundle_at_once(world: World, project: Path, root: Path) -> None:
    """Both get it, whole; nothing of their drafts stays."""
    one = bundle_from(world, project)
    other = bundle_from(world, project, sweep=SWEEP.replace("abcd", "efgh"))
    async with host(root) as first, host(root) as second:
        found = await asyncio.gather(
            ship(world, first, one, source="ssh:a", sweep_id=one.tree.sweep_id),
            ship(world, second, other, source="ssh:b", sweep_id=other.tree.sweep_id),
        )
    assert found[0].path == found[1].path
    assert links_too(one, Path(found[0].path)) == links_too(one, project)
    assert [path for path in root.rglob(".*") if path.name != ".hsm"] == []


# The sweep's own files, at home


async def test_a_project_that_changed_is_sent_as_it_was(world: World, project: Path, root: Path) -> None:
    """From the copy in the sweep's tree, which is made where the files are few."""
    bundle = bundle_from(world, project)
    assert bundle.keep(world.files)
    before = links_too(bundle, project)
    (project / "run.py").write_text("print(2)\n")
    shutil.rmtree(project / "lib")
    there = await shipped(world, root, bundle)
    assert {path: look(Path(there.path) / path) for path in before} == before


async def test_without_a_copy_a_changed_file_is_named(
    world: World, project: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error that trying again does not mend; the commit to go back to is named."""
    monkeypatch.setattr("hsm.core.bundle.MAX_KEPT_BYTES", 3)
    bundle = bundle_from(world, project)
    assert not bundle.keep(world.files)
    (project / "run.py").write_text("print(2)\n")
    with pytest.raises(SourceError, match=r"has changed .* lacks what was in run\.py") as refused:
        await shipped(world, root, replace(bundle, report={"commit": "c" * 40, "dirty": False}))
    assert not refused.value.transient
    assert "check out cccccccccccc" in refused.value.hint
    assert not (root / "bundles" / bundle.digest).exists()


async def test_a_host_that_has_the_bundle_needs_nothing_of_the_project(
    world: World, project: Path, root: Path
) -> None:
    """The same host goes on though everything at home has changed, without a copy."""
    bundle = bundle_from(world, project)
    await shipped(world, root, bundle)
    shutil.rmtree(project)
    assert (await shipped(world, root, bundle)).objects == 0


def context_of(bundle: Bundle) -> SweepContext:
    return SweepContext(
        sweep_id=bundle.tree.sweep_id,
        sweep_dir=bundle.tree.root,
        project=bundle.project,
        epoch=1,
        resources=Resources(),
        variables={},
        grace_s=1.0,
        program={},
    )


async def test_links_that_lead_out_are_refused(world: World, project: Path) -> None:
    """By name, before anything is sent: what they lead to is not there."""
    (project / "data").symlink_to("/etc/hostname")
    with pytest.raises(SourceError, match="links lead out of the project: data"):
        await bundle_of(world, "ssh:host", context_of(bundle_from(world, project)))


async def test_a_sweep_that_noted_nothing_is_not_sent(world: World, project: Path) -> None:
    """Rather than a project as it is now; and damage to what was noted is told."""
    bundle = bundle_from(world, project)
    bundle.tree.bundle.write_text("{}")
    with pytest.raises(SourceError, match="cannot be read"):
        await bundle_of(world, "ssh:host", context_of(bundle))
    bundle.tree.bundle.unlink()
    with pytest.raises(SourceError, match="not noted"):
        await bundle_of(world, "ssh:host", context_of(bundle))


# Hosts that are not to be trusted


class Hostile(Service):
    """A host that answers as it is told to."""

    def __init__(self, *answers: Packet) -> None:
        self._said = answers

    def answers(self) -> dict[str, Answer]:
        return {"assemble": lambda _: iter(self._said), "objects": lambda _: None}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([Packet("lacking", 0, {"objects": ["f" * 64]})], "not of the project"),
        ([Packet("lacking", 0, {"objects": "../../etc/passwd"})], "not of the project"),
        ([Packet("lacking", 0, {})], "not of the project"),
        ([Packet(DONE, 0, {"path": "bundles/x"})], "at no place"),
        ([Packet(DONE, 0, {"path": "/x\n"})], "at no place"),
        ([Packet(DONE, 0, {"path": "/" + "x" * 5000})], "at no place"),
        ([Packet(DONE, 0, {"path": 7})], "at no place"),
        ([Packet(DONE, 0, {"path": None})], "lacks nothing"),
    ],
)
async def test_a_host_is_not_believed(world: World, project: Path, said: list[Packet], words: str) -> None:
    """It gets no file that is not of the project, and no path of its own into a command."""
    async with linked([Hostile(*said)]) as link:
        with pytest.raises(SourceError, match=words):
            await ship(world, link, bundle_from(world, project), source="ssh:host", sweep_id=SWEEP)


async def test_a_host_that_keeps_nothing_is_given_up(world: World, project: Path) -> None:
    """Objects are not sent for ever."""
    bundle = bundle_from(world, project)
    lacking = Packet("lacking", 0, {"objects": [bundle.digest]})
    async with linked([Hostile(lacking, Packet(DONE, 0, {"path": None}))]) as link:
        with pytest.raises(SourceError, match="does not keep"):
            await ship(world, link, bundle, source="ssh:host", sweep_id=SWEEP)


async def test_a_host_that_does_not_answer_is_not_waited_for(
    world: World, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call has a limit."""
    monkeypatch.setattr(bundles, "CALL_S", 0.05)

    class Silent(Service):
        def answers(self) -> dict[str, Answer]:
            return {"assemble": lambda _: iter(lambda: Packet("lacking", 0, {"objects": []}), None)}

    async with linked([Silent()]) as link:
        with pytest.raises(SourceError, match="did not answer"):
            await ship(world, link, bundle_from(world, project), source="ssh:host", sweep_id=SWEEP)


# Managers that are not to be trusted with more than their own


@pytest.mark.parametrize(
    ("kind", "fields", "body"),
    [
        ("assemble", {"digest": "../../etc", "sweep": SWEEP}, b""),
        ("assemble", {"digest": "a" * 64, "sweep": "../x"}, b""),
        ("assemble", {"digest": "a" * 64}, b""),
        ("objects", {"parts": [["../../x", 0, 1, 1]]}, b"x"),
        ("objects", {"parts": [["a" * 64, 0, 1, 1]]}, b"x"),
        ("objects", {"parts": [["a" * 64, 5, 1, 9]]}, b"x"),
        ("objects", {"parts": [["a" * 64, 0, 2, 1]]}, b"xx"),
        ("objects", {"parts": [["a" * 64, 0, 9, 9]]}, b"x"),
        ("objects", {"parts": [["a" * 64, 0, -1, 9]]}, b"x"),
        ("objects", {"parts": 3}, b"x"),
        ("objects", {}, b"x"),
        ("objects", {"parts": [], "deflated": True}, b"x"),
    ],
)
async def test_what_is_no_request_is_refused(
    root: Path, kind: str, fields: dict[str, object], body: bytes
) -> None:
    """In words; nothing is written outside, and no draft stays."""
    async with host(root) as link:
        with pytest.raises(SourceError):
            await link.call(kind, fields, body)
    assert {path.name for path in root.parent.parent.iterdir()} <= {"host"}
    assert {path.name for path in root.parent.glob("*")} <= {".hsm"}
    assert list((root / "objects").rglob("*")) == []


async def test_a_listing_that_leads_out_is_refused_by_the_host(
    world: World, project: Path, root: Path
) -> None:
    """The host looks for itself, whatever the manager has checked."""
    text = b'{"files":[["../x","link","/etc",0]],"format":"hsm.bundle.v1"}'
    parts = [[sha256_hex(text), 0, len(text), len(text)]]
    async with host(root) as link:
        await link.call("objects", {"parts": parts}, text)
        with pytest.raises(SourceError, match="leads out of the project"):
            await link.call("assemble", {"digest": sha256_hex(text), "sweep": SWEEP})
    assert list((root / "bundles").iterdir()) == []


async def test_a_directory_of_somebody_is_not_made_ours(root: Path) -> None:
    """What holds anything else is refused, and so is a link."""
    root.mkdir(parents=True)
    (root / "thesis.tex").write_text("years of work")
    async with host(root) as link:
        with pytest.raises(SourceError, match=r"was not made by HSM: 'thesis\.tex'"):
            await link.call("assemble", {"digest": "a" * 64, "sweep": SWEEP})
    (root / "thesis.tex").unlink()
    root.rmdir()
    root.symlink_to("/tmp")
    async with host(root) as link:
        with pytest.raises(SourceError, match="no directory"):
            await link.call("assemble", {"digest": "a" * 64, "sweep": SWEEP})
