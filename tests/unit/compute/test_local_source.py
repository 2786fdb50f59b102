"""The local source: what it says when its agent does not come up."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from hsm.compute.local import AGENT_SPACE_BYTES, LocalSource, no_room, silence
from hsm.core.errors import SourceError
from hsm.core.source import SweepContext
from hsm.core.spec import Resources, SourceSpec
from hsm.core.world import World
from hsm.wire.files import Files


class StillbornAgents(World):
    """A world in which an agent says something and is gone."""

    words = ""

    def spawn_detached(
        self, argv: Sequence[str], *, environment: Mapping[str, str], log: Path, keep: Sequence[int] = ()
    ) -> int:
        with log.open("a") as file:
            file.write(self.words)
        return os.getpid()


@pytest.fixture
def world() -> Iterator[StillbornAgents]:
    found = StillbornAgents()
    yield found
    found.close()


def context_of(root: Path) -> SweepContext:
    (root / "logs" / "sources").mkdir(parents=True)
    (root / "scripts" / "setup_scripts").mkdir(parents=True)
    return SweepContext(
        sweep_id="s",
        sweep_dir=root,
        project=root,
        epoch=1,
        resources=Resources(),
        variables={},
        grace_s=1.0,
        program={},
    )


async def test_an_agent_that_does_not_come_up_is_quoted(tmp_path: Path, world: StillbornAgents) -> None:
    """Its last line names the cause, the hint names its log."""
    context = context_of(tmp_path / "sweep")
    log = tmp_path / "sweep" / "logs" / "sources" / "local.log"
    world.words = "Traceback (most recent call last):\nOSError: [Errno 122] Disk quota exceeded\n\n"
    with pytest.raises(SourceError) as refused:
        async with LocalSource(world, SourceSpec(kind="local", slots=1), tmp_path).session(context):
            pass
    assert str(refused.value).endswith("its agent does not answer: OSError: [Errno 122] Disk quota exceeded")
    assert refused.value.hint == f"see {log}"
    assert refused.value.transient


async def test_what_an_earlier_agent_said_is_not_quoted(tmp_path: Path, world: StillbornAgents) -> None:
    """An agent that says nothing is not given the words of the one before it."""
    context = context_of(tmp_path / "sweep")
    (tmp_path / "sweep" / "logs" / "sources" / "local.log").write_text("the cluster was down\n")
    with pytest.raises(SourceError) as refused:
        async with LocalSource(world, SourceSpec(kind="local", slots=1), tmp_path).session(context):
            pass
    assert refused.value.message == "source 'local': its agent does not answer"


def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Where there is hardly any room, that is the hint; where there is, or nobody knows, it is the log."""
    log = tmp_path / "local.log"
    _, hint = silence(Files(), log, 0, 12_000)
    assert hint == f"only 0.0 MB are free on the file system of {tmp_path}: free some space there"
    assert silence(Files(), log, 0, AGENT_SPACE_BYTES)[1] == f"see {log}"
    assert silence(Files(), log, 0, None)[1] == f"see {log}"
    assert no_room(tmp_path, AGENT_SPACE_BYTES) == ""


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("RuntimeError: can't start new thread", "ulimit -u"),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", "ulimit -u"),
        ("OSError: [Errno 24] Too many open files: '/etc/hosts'", "ulimit -n"),
    ],
)
def test_an_agent_that_died_of_a_limit_is_told_with_the_limit(tmp_path: Path, words: str, limit: str) -> None:
    """Its last words name what was lacking; the hint names what to raise, not the log alone."""
    log = tmp_path / "local.log"
    log.write_text(f"Traceback (most recent call last):\n{words}\n")
    assert limit in silence(Files(), log, 0, None)[1]


def test_last_words_are_one_short_harmless_line(tmp_path: Path) -> None:
    """However long a log is and whatever bytes it has, a message stays a line."""
    log = tmp_path / "local.log"
    log.write_bytes(b"x\n" * 10_000 + b"\xff\x1b[31m" + b"y" * 900 + b"\n \n")
    message, _ = silence(Files(), log, 0, None)
    assert message.isprintable()
    assert len(message) < 250
    assert message.startswith("its agent does not answer: \ufffd?[31my")
