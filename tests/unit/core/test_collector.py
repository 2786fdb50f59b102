"""The collector's verdicts: every byte checked, every number looked at, nothing of a program's believed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.collector import (
    MAX_METRICS,
    MAX_METRICS_BYTES,
    SIGNATURE_CHARS,
    Ended,
    judge,
    read_metrics,
    signature,
)
from hsm.core.events import AttemptFailed, AttemptSealed, to_record
from hsm.core.model import Attempt, Exit, Task
from hsm.core.states import AttemptState, Cause
from hsm.wire import manifest
from hsm.wire.files import Files
from hsm.wire.hashing import sha256_hex
from hsm.wire.log import encode_record
from hsm.wire.yaml_text import yaml_lines

FILES = Files()


def left(directory: Path, **files: bytes) -> Path:
    directory.mkdir(exist_ok=True)
    for name, data in files.items():
        (directory / name.replace("__", ".")).write_bytes(data)
    return directory


def seal(directory: Path, said: dict[str, Any] | None = None, **changes: Any) -> Ended:
    """Write the provenance report as the agent does, and return what the collector gets."""
    entries = manifest.build(FILES, str(directory), manifest.find(FILES, str(directory)))
    artifacts = [entry._asdict() for entry in entries]
    report = json.dumps({"artifacts": artifacts, **(said or {})}).encode()
    (directory / manifest.REPORT).write_bytes(report)
    known: dict[str, Any] = {"state": AttemptState.EXITED, "manifest": sha256_hex(report), **changes}
    attempt = Attempt(number=2, token="t" * 32, source="local", **known)
    return Ended(
        Task(index=5, config_hash="c", task_key="k", params_json="{}", attempts=(attempt,)),
        attempt,
        directory,
    )


def verdict_of(ended: Ended) -> AttemptSealed:
    verdict = judge(FILES, ended, 9.0)
    assert isinstance(verdict, AttemptSealed)
    return verdict


def failure_of(ended: Ended) -> AttemptFailed:
    verdict = judge(FILES, ended, 9.0)
    assert isinstance(verdict, AttemptFailed)
    return verdict


def test_a_success_is_sealed_with_its_numbers(tmp_path: Path) -> None:
    """Files and bytes are counted, metrics read, nothing noted."""
    directory = left(tmp_path / "a", metrics__json=b'{"f": 1.5, "n": 3, "gap": null}', stdout__log=b"hi")
    verdict = verdict_of(seal(directory))
    assert (verdict.task, verdict.attempt, verdict.at) == (5, 2, 9.0)
    assert verdict.metrics == {"f": 1.5, "n": 3, "gap": None}
    assert (verdict.files, verdict.bytes, verdict.notes) == (2, 33, ())


def test_a_failure_keeps_the_agents_words(tmp_path: Path) -> None:
    """Cause and reason are those of the exit record; the last line on stderr says what to group by."""
    directory = left(tmp_path / "a", stderr__log=b"Traceback\n  line\nValueError: bad k=17 at 0x7f3a\n\n")
    failure = failure_of(seal(directory, cause=Cause.APPLICATION, reason="exit code 1"))
    assert (failure.cause, failure.reason) == (Cause.APPLICATION, "exit code 1")
    assert failure.signature == "exit code 1: ValueError: bad k=# at #"


HONEST = {
    "token": "t" * 32,
    "attempt": 2,
    "config_hash": "c",
    "exit": {"code": 0, "signal": None},
    "cause": None,
}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {"exit": {"code": 1, "signal": None}},
            "says exit {'code': 1, 'signal': None}, and its agent {'code': 0",
        ),
        ({"cause": "memory"}, "says cause 'memory', and its agent None"),
        ({"token": "u" * 32}, "says token 'uuuu"),
        ({"attempt": 1}, "says attempt 1, and its agent 2"),
        ({"config_hash": "d"}, "says config_hash 'd', and its agent 'c'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_report_that_contradicts_its_exit_record_is_no_result(
    tmp_path: Path, said: dict[str, Any], words: str
) -> None:
    """A host that says that all was well, and its own report does not: neither is believed."""
    place = left(tmp_path / "a", result=b"42")
    assert isinstance(judge(FILES, seal(place, HONEST, exit=Exit(code=0)), 9.0), AttemptSealed)
    (place / manifest.REPORT).chmod(0o644)
    verdict = judge(FILES, seal(place, {**HONEST, **said}, exit=Exit(code=0)), 9.0)
    assert isinstance(verdict, AttemptFailed)
    assert verdict.cause is Cause.PROTOCOL
    assert f"provenance.json {words}" in verdict.reason


def test_an_attempt_without_a_report_failed(tmp_path: Path) -> None:
    """Where nothing could be recorded there is nothing to verify, and no success."""
    ended = seal(left(tmp_path / "a"), manifest=None, cause=Cause.NODE, reason="disk full")
    assert (failure_of(ended).cause, failure_of(ended).reason) == (Cause.NODE, "disk full")
    ended = seal(tmp_path / "a", manifest=None)
    assert failure_of(ended).cause is Cause.APPLICATION


@pytest.mark.parametrize(
    "harm",
    [
        lambda directory: (directory / "field.bin").write_bytes(b"0123456780"),
        lambda directory: (directory / "field.bin").write_bytes(b"012345678"),
        lambda directory: (directory / "field.bin").unlink(),
        lambda directory: (directory / manifest.REPORT).write_text("{}"),
        lambda directory: (directory / manifest.REPORT).write_bytes(b"\xff"),
        lambda directory: (directory / manifest.REPORT).unlink(),
    ],
    ids=["changed", "shorter", "gone", "other report", "damaged report", "no report"],
)
@pytest.mark.parametrize("cause", [None, Cause.TIME])
def test_what_did_not_come_home_whole_is_a_transfer_failure(
    tmp_path: Path, harm: Any, cause: Cause | None
) -> None:
    """Never sealed, never charged to the program, and the reason names the file."""
    directory = left(tmp_path / "a", field__bin=b"0123456789")
    ended = seal(directory, cause=cause, reason="x" if cause else "")
    harm(directory)
    failure = failure_of(ended)
    assert failure.cause is Cause.TRANSFER
    assert failure.reason.startswith(("field.bin: ", "provenance.json: "))
    assert failure.signature == failure.reason


def test_a_report_that_is_no_report_is_a_transfer_failure(tmp_path: Path) -> None:
    """Even where its hash is right."""
    for content in (
        b"[]",
        b"{}",
        b'{"artifacts": [1]}',
        b'{"artifacts": [{"path": "x"}]}',
        b'{"artifacts": 7}',
        b"null",
    ):
        directory = left(tmp_path / "a", provenance__json=content)
        attempt = Attempt(number=1, token="t", source="local", manifest=sha256_hex(content))
        task = Task(index=1, config_hash="c", task_key="k", params_json="{}")
        assert failure_of(Ended(task, attempt, directory)).cause is Cause.TRANSFER


@pytest.mark.parametrize(
    ("text", "metrics", "note"),
    [
        (b'{"f": NaN}', {"f": None}, "metric f is nan, recorded as null"),
        (b'{"f": Infinity, "g": -Infinity}', {"f": None, "g": None}, "metric f is inf"),
        (b'{"f": 1e999}', {"f": None}, "metric f is inf"),
        (b'{"f": 1' + b"0" * 400 + b"}", {"f": None}, "larger than a float"),
        (b'{"f": true, "g": "x", "h": [1], "i": {"j": 1}, "k": 1}', {"k": 1}, None),
        (b"[1, 2]", None, "not a mapping"),
        (b"7", None, "not a mapping"),
        (b"", None, "cannot be read"),
        (b'{"f": 1', None, "cannot be read"),
        (b"\xff\xfe\x00", None, "cannot be read"),
        (b"[" * 100_000, None, "cannot be read"),
        (b" " * (MAX_METRICS_BYTES + 1), None, "larger than"),
        (b'{"\\ud800": 1.0, "f": 2.0}', {"f": 2.0}, "name"),
        (b'{"a\\u001b[31m": 1.0, "\\u202e": NaN, "f": 2.0}', {"f": 2.0}, "name"),
        (b'{"f": null, "reason": "blew \\u001b[31mup\\ud800"}', {"f": None}, "blew  [31mup"),
        (b'{"' + b"n" * 1000 + b'": 1.0}', {}, "name"),
    ],
)
def test_odd_numbers_are_null_and_odd_files_none_with_a_note(
    tmp_path: Path, text: bytes, metrics: dict[str, float | None] | None, note: str | None
) -> None:
    """A score is never a magic number: what cannot be one is left out, and said."""
    directory = left(tmp_path / "a", metrics__json=text)
    verdict = verdict_of(seal(directory))
    assert verdict.metrics == metrics
    assert bool(verdict.notes) == bool(note)
    assert note is None or note in verdict.notes[0]
    shown = yaml_lines({"metrics": verdict.metrics, "notes": verdict.notes})
    shown.encode("utf-8")
    encode_record(to_record(verdict))
    assert "\x1b" not in "".join(verdict.notes)


def test_too_many_numbers_are_cut_off(tmp_path: Path) -> None:
    """The ledger holds at most so many per task."""
    content = json.dumps({f"m{number}": number for number in range(MAX_METRICS + 5)}).encode()
    metrics, notes = read_metrics(FILES, left(tmp_path / "a", metrics__json=content))
    assert metrics is not None
    assert len(metrics) == MAX_METRICS
    assert len(notes) == 1


@pytest.mark.parametrize("kind", ["pipe", "directory", "link", "endless"])
def test_metrics_that_are_no_file_are_not_opened(tmp_path: Path, kind: str) -> None:
    """A pipe would wait for ever, a link leads elsewhere: noted, and the attempt is judged all the same."""
    directory = left(tmp_path / "a")
    path = directory / "metrics.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    else:
        (tmp_path / "elsewhere.json").write_text('{"f": 1.0}')
        path.symlink_to(tmp_path / "elsewhere.json")
    verdict = verdict_of(seal(directory))
    assert verdict.metrics is None
    assert "metrics.json" in verdict.notes[0]


def test_no_metrics_are_no_fault(tmp_path: Path) -> None:
    """A program need not write any."""
    assert read_metrics(FILES, left(tmp_path / "a")) == (None, [])


def test_huge_output_is_noted(tmp_path: Path) -> None:
    """Somebody should know that the disk fills with logs."""
    directory = left(tmp_path / "a", stdout__log=b"")
    os.truncate(directory / "stdout.log", 100 << 20)
    assert "stdout.log is 0.1 GB" in verdict_of(seal(directory)).notes[0]


def test_like_failures_have_one_signature(tmp_path: Path) -> None:
    """Numbers and addresses are what differs between the same fault at two places."""
    lines = [b"step 17: rho=1.5e+300 at 0xdeadbeef", b"step 99999: rho=2 at 0x1"]
    found = {
        signature(
            FILES, left(tmp_path / str(number), stderr__log=line + b"\n"), Cause.APPLICATION, "exit code 1"
        )
        for number, line in enumerate(lines)
    }
    assert found == {"exit code 1: step #: rho=# at #"}


def test_only_a_programs_own_failure_is_told_by_its_last_words(tmp_path: Path) -> None:
    """What the agent or the machine did is told by the reason."""
    directory = left(tmp_path / "a", stderr__log=b"warning: 3 things\n")
    assert (
        signature(FILES, directory, Cause.TIME, "over its time limit of 3 s") == "over its time limit of 3 s"
    )
    assert signature(FILES, tmp_path / "gone", Cause.APPLICATION, "exit code 1") == "exit code 1"


@given(st.binary(max_size=300))
def test_last_words_are_one_short_printable_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Whatever a program wrote, binary or hostile."""
    directory = left(tmp_path_factory.getbasetemp() / "words", stderr__log=data * 20)
    line = signature(FILES, directory, Cause.APPLICATION, "exit code 1")
    assert len(line) <= SIGNATURE_CHARS
    assert not any(ord(ch) < 0x20 or 0x7F <= ord(ch) < 0xA0 for ch in line)
    line.encode("utf-8")


def test_a_program_may_say_why_a_number_is_null(tmp_path: Path) -> None:
    """The key `reason` of metrics.json is a word, not a metric: it becomes a note when it says something."""
    said = left(tmp_path / "a", metrics__json=b'{"f": null, "reason": "lost resolution"}')
    silent = left(tmp_path / "b", metrics__json=b'{"f": 1.0, "reason": null}')
    assert read_metrics(FILES, said) == ({"f": None}, ["lost resolution"])
    assert read_metrics(FILES, silent) == ({"f": 1.0}, [])


@pytest.mark.parametrize("cause", [None, Cause.APPLICATION, Cause.TIME])
def test_results_and_evidence_of_failures_are_protected_alike(tmp_path: Path, cause: Cause | None) -> None:
    """What was judged is read-only: a failure's last words are worth as much as a result."""
    directory = left(tmp_path / "a", stderr__log=b"boom\n", stdout__log=b"")
    judge(FILES, seal(directory, cause=cause, reason="x" if cause else ""), 9.0)
    assert {path.name: path.stat().st_mode & 0o222 for path in directory.iterdir()} == {
        "stderr.log": 0,
        "stdout.log": 0,
        manifest.REPORT: 0,
    }


def test_a_file_that_changes_while_it_is_read_is_no_result(tmp_path: Path) -> None:
    """A process that was left behind and still has the file open writes between two reads."""
    directory = left(tmp_path / "a", field__bin=b"0" * 200_000)
    ended = seal(directory)
    left_open = (directory / "field.bin").open("r+b")

    class Meddling(Files):
        def chunks(self, path: str, offset: int = 0, *, protect: bool = False) -> Iterator[bytes]:
            for block in super().chunks(path, offset, protect=protect):
                yield block
                left_open.seek(150_000)
                left_open.write(b"1")
                left_open.flush()

    with left_open:
        verdict = judge(Meddling(), ended, 9.0)
    assert isinstance(verdict, AttemptFailed)
    assert verdict.cause is Cause.TRANSFER
    assert verdict.reason == "field.bin: its content has changed"
