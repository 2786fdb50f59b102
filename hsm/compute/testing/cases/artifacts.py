"""Cases of artifacts: what a program leaves comes home whole, with a report that covers every byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from hsm.compute.testing.ability import Ability
from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.plays import NOTE, Play
from hsm.compute.testing.site import Site, fetched_all
from hsm.core.source import AttemptOrder, Observation
from hsm.core.states import AttemptState, Cause

SPEAK = Play("speak", "printf 'out\\0put\\n'; printf 'err\\n' >&2; sh -c 'echo child'; printf 'no newline'")
SPILL = Play("spill", 'head -c "$1" /dev/zero')
LEAVE = Play("leave", 'rm -r "$PWD"')
HALF_HDF5 = Play("half", 'head -c 300 "$1" >results/half.h5; cp "$1" results/whole.h5')
NAMES = Play("names", 'cd results; for name in "$@"; do printf \'%s\' "$name" >"$name"; done')
NOT_UTF8 = Play("bytes", "printf x >\"results/$(printf 'a\\377b')\"; echo fine >results/fine")
OWN = Play("own", "printf '{\"answer\": [42, NaN]}' >provenance.json")
NOT_JSON = Play("broken", "printf '{' >provenance.json")
LINK = Play("link", 'ln -s "$1" provenance.json; ln -s "$1" status.yaml')
FIFO = Play("fifo", "mkfifo provenance.json status.yaml")
FOLDER = Play("folder", "mkdir -p provenance.json/in status.yaml; echo x >provenance.json/in/x")
DEEP = Play("deep", "head -c 200000 /dev/zero | tr '\\0' '[' >provenance.json")

AWKWARD_NAMES = (
    "two words",
    "UPPER",
    "-rf",
    "new\nline",
    "quote'\"",
    "größe ψ",
    "back\\slash",
    "~",
    "..x",
    "*",
    "n" * 250,
)
SMALL_HDF5 = bytes.fromhex("894844460d0a1a0a00000000000808000400100000000000") + b"".join(
    value.to_bytes(8, "little") for value in (0, (1 << 64) - 1, 800, (1 << 64) - 1)
)


async def fetched_report(site: Site, order: AttemptOrder, seen: Observation) -> tuple[Path, dict[str, Any]]:
    """Bring an attempt home, check its report against the record and the files, and return both."""
    directory = await site.fetched(order)
    content = (directory / "provenance.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == seen.manifest, "the record names another report"
    report: dict[str, Any] = json.loads(content)
    named = {entry["path"]: (entry["size"], entry["sha256"]) for entry in report["artifacts"]}
    assert named == _files(directory), "the report does not cover the files"
    return directory, report


def _files(directory: Path) -> dict[str, tuple[int, str]]:
    found = {}
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        regular = path.is_file() and not path.is_symlink() and name.isprintable() | ("\n" in name)
        if regular and name not in ("provenance.json", "status.yaml"):
            data = path.read_bytes()
            found[name] = len(data), hashlib.sha256(data).hexdigest()
    return found


class ArtifactCases(CaseBase):
    """The report is always there, always the agent's, and its digest stands in the exit record."""

    big_bytes = 64 << 20

    @case(Ability.DIRECTORIES)
    async def test_output_is_captured_whole(self, site: Site) -> None:
        """Standard output and error of a program and its children are kept, byte by byte."""
        (order,) = await site.submit(SPEAK())
        (seen,) = await site.ended([order])
        directory, _ = await fetched_report(site, order, seen)
        assert (directory / "stdout.log").read_bytes() == b"out\0put\nchild\nno newline"
        assert (directory / "stderr.log").read_bytes() == b"err\n"

    @case(Ability.DIRECTORIES, slots=1)
    async def test_a_huge_output_holds_nobody_up(self, site: Site) -> None:
        """While a huge output is being hashed, the next attempts run and end."""
        huge, *small = await site.submit(SPILL(self.big_bytes), *(NOTE(site.log, n) for n in range(3)))
        (seen,) = await site.ended([huge])
        order = [end.token for end in site.seen if end.state is AttemptState.EXITED]
        assert small[0].token in order[: order.index(huge.token)]
        await site.ended(small)
        directory = await site.fetched(huge)
        report = json.loads((directory / "provenance.json").read_bytes())
        (log,) = (entry for entry in report["artifacts"] if entry["path"] == "stdout.log")
        assert log["size"] == (directory / "stdout.log").stat().st_size == self.big_bytes
        with (directory / "stdout.log").open("rb") as file:
            assert log["sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
        assert seen.cause is None

    @case(Ability.DIRECTORIES)
    async def test_the_report_says_what_ran(self, site: Site) -> None:
        """The report holds identity, command, parameters, times, usage and the exit."""
        (order,) = await site.submit(SPEAK(), params={"k": 1e-05, "mode": "no"})
        (seen,) = await site.ended([order])
        _, report = await fetched_report(site, order, seen)
        assert (report["token"], report["task_id"], report["attempt"]) == (order.token, "task_0001", 1)
        assert (report["config_hash"], report["task_key"]) == (order.config_hash, order.task_key)
        assert report["command"] == list(order.argv)
        assert report["params"] == {"k": 1e-05, "mode": "no"}
        assert report["exit"] == {"code": 0, "signal": None}
        assert report["code"]["digest"] == "contract"
        assert report["started_at"] <= report["ended_at"]

    @case(Ability.DIRECTORIES)
    async def test_failed_attempts_are_reported_too(self, site: Site) -> None:
        """An attempt that failed, or whose program could not be started, has a report like any other."""
        commands = (("/bin/sh", "-c", "echo partial >results/part; exit 9"), ("no-such-program",))
        orders = await site.submit(*commands)
        for order, seen in zip(orders, await site.ended(orders), strict=True):
            _, report = await fetched_report(site, order, seen)
            assert (report["cause"], report["reason"]) == ("application", seen.reason)

    @case(Ability.DIRECTORIES)
    async def test_attempts_come_home_together(self, site: Site) -> None:
        """Many are fetched by one call, those that failed too, and again by another with the same bytes."""
        commands = (*(NAMES(f"file{n}") for n in range(8)), ("/bin/sh", "-c", "echo bad >&2; exit 3"))
        orders = await site.submit(*commands)
        ended = await site.ended(orders)
        assert await fetched_all(site, orders) == [site.tree.root / order.directory for order in orders]
        for number, (order, seen) in enumerate(zip(orders, ended, strict=True)):
            directory, _ = await fetched_report(site, order, seen)
            if seen.cause is None:
                assert (directory / f"results/file{number}").read_text() == f"file{number}"
            else:
                assert (directory / "stderr.log").read_text() == "bad\n"

    @case(Ability.DIRECTORIES)
    async def test_awkward_names_are_kept(self, site: Site) -> None:
        """Files with awkward names are in the report under just these names."""
        (order,) = await site.submit(NAMES(*AWKWARD_NAMES))
        (seen,) = await site.ended([order])
        _, report = await fetched_report(site, order, seen)
        names = {entry["path"].removeprefix("results/") for entry in report["artifacts"]}
        assert set(AWKWARD_NAMES) <= names
        assert seen.cause is None

    @case(Ability.DIRECTORIES)
    async def test_names_that_are_no_text_are_said_to_be_left_out(self, site: Site) -> None:
        """A name that is no UTF-8 is recorded as left out; the rest of the attempt is whole."""
        (order,) = await site.submit(NOT_UTF8())
        (seen,) = await site.ended([order])
        report = json.loads((await site.fetched(order) / "provenance.json").read_bytes())
        assert any("a\\udcffb" in name for name in report["ignored"])
        assert "results/fine" in {entry["path"] for entry in report["artifacts"]}
        assert seen.cause is None

    @case(Ability.DIRECTORIES)
    async def test_a_removed_directory_is_a_failure(self, site: Site) -> None:
        """A program that removes its own directory has failed, whatever it returns; no other attempt has."""
        gone, other = await site.ended(await site.submit(LEAVE(), SPEAK()))
        assert (gone.state, gone.cause) == (AttemptState.EXITED, Cause.APPLICATION)
        assert (gone.manifest, "directory" in gone.reason) == (None, True)
        assert other.cause is None

    @case(Ability.DIRECTORIES)
    async def test_half_an_hdf5_file_is_a_failure(self, site: Site) -> None:
        """A program that leaves half an HDF5 file has failed, and the file is named; a whole one is fine."""
        whole = site.root / "whole.h5"
        whole.write_bytes(SMALL_HDF5 + bytes(800 - len(SMALL_HDF5)))
        (order,) = await site.submit(HALF_HDF5(whole))
        (seen,) = await site.ended([order])
        assert seen.cause is Cause.APPLICATION
        assert "results/half.h5" in seen.reason
        assert "whole.h5" not in seen.reason
        await fetched_report(site, order, seen)

    @case(Ability.DIRECTORIES)
    async def test_the_programs_own_report_is_embedded(self, site: Site) -> None:
        """A `provenance.json` of the program becomes the `program` of the agent's report."""
        (order,) = await site.submit(OWN())
        (seen,) = await site.ended([order])
        _, report = await fetched_report(site, order, seen)
        assert report["program"] == {"answer": [42, None]}
        assert report["program_fault"] is None

    @pytest.mark.parametrize("play", [NOT_JSON, LINK, FIFO, FOLDER, DEEP], ids=lambda play: play.name)
    @case(Ability.DIRECTORIES)
    async def test_reserved_names_cannot_be_misused(self, site: Site, play: Play) -> None:
        """Whatever a program leaves under a reserved name, the report is whole and nothing else changes."""
        secret = site.root / "secret"
        secret.write_text('{"secret": 1}')
        (order,) = await site.submit(play(secret))
        (seen,) = await site.ended([order])
        directory, report = await fetched_report(site, order, seen)
        assert (report["program"], seen.cause) == (None, None)
        assert report["program_fault"]
        status = directory / "status.yaml"
        assert not status.is_symlink()
        assert not status.exists()
        assert secret.read_text() == '{"secret": 1}'
