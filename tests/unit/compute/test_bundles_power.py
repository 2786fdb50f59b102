"""The power goes, at any act, while a host takes in objects and makes a bundle: what is named is whole."""

from __future__ import annotations

from random import Random

import pytest

from hsm.compute.agent.host import Host
from hsm.compute.agent.objects import FEW_FILES, Part
from hsm.compute.agent.premises import Premises
from hsm.compute.agent.shelf import Shelf
from hsm.sim.disk import Disk
from hsm.sim.files import SimFiles
from hsm.sim.process import Killed, SimProcess
from hsm.sim.trace import Trace
from hsm.wire.bundle import SHA256, Item, ItemKind, digest_of, encode_listing
from hsm.wire.hashing import sha256_hex

CONTENTS = [b"%d" % number * (number * 90 + 1) for number in range(FEW_FILES + 3)]
PATHS = [f"lib/{number}" if number % 2 else f"{number}" for number in range(len(CONTENTS))]
ITEMS = [
    Item(path, ItemKind.PROGRAM if path == "0" else ItemKind.FILE, sha256_hex(content), len(content))
    for path, content in zip(PATHS, CONTENTS, strict=True)
]
LISTING = encode_listing(ITEMS)
DIGEST = digest_of(LISTING)


class Machine:
    """A host that loses its power: its disk forgets what was not synced, and sometimes not all of it."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.disk = Disk(Trace())
        self.acts = 0

    def boot(self, *, dies_in: int | None = None) -> SimFiles:
        process = SimProcess(name="relay", pid=1, start="1")
        process.kill_in = dies_in
        self.process = process
        return SimFiles({"/": self.disk}, process, trace=Trace(), rng=self.rng)

    def work(self, *, dies_in: int | None = None) -> None:
        """Take in few objects, many objects and the listing, and make the bundle of them."""
        host = Host()
        host.files = self.boot(dies_in=dies_in)
        premises = Premises(host.files, "/h/.hsm")
        premises.settle()
        shelf = Shelf(premises, host)
        parts = [Part(sha256_hex(content), 0, len(content), content) for content in [*CONTENTS, LISTING]]
        shelf.objects.take(parts[:2])
        shelf.objects.take([Part(parts[2].sha256, 0, parts[2].size, parts[2].data[:5])])
        shelf.objects.take([Part(parts[2].sha256, 5, parts[2].size, parts[2].data[5:])])
        shelf.objects.take(parts[3:])
        if not shelf.is_intact(DIGEST, ITEMS):
            assert shelf.objects.lacking(ITEMS) == []
            shelf.assemble(DIGEST, ITEMS)
        self.acts = self.process.acts


def check(files: SimFiles) -> bool:
    """Check that everything that has its name is what the name says; tell whether the bundle is there."""
    objects = "/h/.hsm/objects"
    if not files.is_directory(objects):
        return False
    for folder in files.list(objects):
        if len(folder) == 2:
            for name in files.list(f"{objects}/{folder}"):
                assert SHA256.fullmatch(name.removesuffix(".x"))
                assert sha256_hex(files.contents(f"{objects}/{folder}/{name}")) == name.removesuffix(".x")
    bundle = f"/h/.hsm/bundles/{DIGEST}"
    if not files.is_directory(bundle):
        return False
    assert {path: files.contents(f"{bundle}/{path}") for path in PATHS} == dict(
        zip(PATHS, CONTENTS, strict=True)
    )
    return True


def acts() -> int:
    machine = Machine(0)
    machine.work()
    return machine.acts


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_act_what_has_its_name_is_whole(seed: int) -> None:
    """And when the power is back, the same work leads to the bundle, whatever lies about."""
    total = acts()
    assert total > 40
    found = set()
    for number in range(1 + seed % 2, total, 2):
        machine = Machine(1000 * seed + number)
        try:
            machine.work(dies_in=number)
        except Killed:
            machine.disk.cut_power(machine.rng)
        found.add(check(machine.boot()))
        machine.work()
        machine.disk.cut_power(machine.rng)
        assert check(machine.boot()), "what was answered outlives the next cut"
    assert found == {True, False} or seed
