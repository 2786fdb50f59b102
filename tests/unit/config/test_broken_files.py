"""What a user is told about a wrong file: place, value and fix."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsm.config import find_project, load_sweep
from hsm.core.errors import ConfigError, ExitCode, Problem
from tests.unit.config.broken_files import BROKEN, Broken, swept


def problems_of(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_sweep(path, project=find_project(path.parent))
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value.problems


def problems_in(text: str | bytes, folder: Path) -> tuple[Problem, ...]:
    path = folder / "s.yaml"
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return problems_of(path)


def _place(problem: Problem) -> list[int]:
    return [int(number) for number in problem.where.rsplit(":", 2)[1:]]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.label)
def test_a_broken_file_is_told_with_place_value_and_fix(broken: Broken, tmp_path: Path) -> None:
    """Each broken file gets a problem at the right place, naming the value and the fix."""
    found = problems_in(broken.text, tmp_path)
    where = f"{tmp_path / 's.yaml'}{broken.where}"
    here = [problem for problem in found if problem.where == where and broken.message in problem.message]
    assert here, "\n".join(map(str, found))
    assert broken.hint in here[0].hint, here[0].hint
    assert all(problem.hint for problem in found), "each with a fix"
    assert [_place(problem) for problem in found] == sorted(map(_place, found)), "in the order of the file"
    assert all(problem.message.isprintable() and problem.hint.isprintable() for problem in found)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Five mistakes in five sections give five problems in one error."""
    tail = "timeout: 5\nresources: {cpus: x}\nretry: {nod: 1}\nsources: [x]\nmetadatta: {}\n"
    found = problems_in(swept(tail), tmp_path)
    assert {problem.where.split(":", 1)[1] for problem in found} == {"6:10", "7:19", "8:9", "9:11", "10:1"}


def test_a_faulty_parameter_is_still_a_parameter(tmp_path: Path) -> None:
    """The placeholder that asks for it is not called wrong as well."""
    (problem,) = problems_in("program: {command: [a, '{k}']}\nsweep: {grid: {k: 3}}\nname: x\n", tmp_path)
    assert problem.message == "`sweep.grid.k` is 3; expected a list"


def test_a_section_that_is_no_map_is_told_once(tmp_path: Path) -> None:
    """What is missing in a section is not listed when the section itself is wrong."""
    found = problems_in("name: a\nprogram: x\nhunt:\n", tmp_path)
    assert [problem.message for problem in found] == [
        '`program` is "x"; expected a map',
        "`hunt` is null; expected a map",
    ]
    (problem,) = problems_in("just words\n", tmp_path)
    assert problem.message == 'the configuration is "just words"; expected a map'


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        (b"\xef\xbb\xbfname: a\n", ":1:1", "byte order mark"),
        ("name: a\n".encode("utf-16"), ":1:1", "UTF-16"),
        (b"name: a\nx: \xff\n", ":2:4", "0xff is not UTF-8"),
        (b"name: a\nx: \xed\xa0\x80\n", ":2:4", "0xed is not UTF-8"),
        (b"name: a\0b\n", ":1:8", "U+0000"),
        (b"name: \x1b[31m\n", ":1:7", "U+001B"),
    ],
)
def test_bytes_that_are_no_plain_text_are_refused(
    data: bytes, where: str, message: str, tmp_path: Path
) -> None:
    """A byte order mark, another encoding, NUL and control characters are named with their place."""
    (problem,) = problems_in(data, tmp_path)
    assert problem.where.endswith(where)
    assert message in problem.message


def test_an_alias_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    """Nine levels of nine aliases are refused by counting, not by expanding."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    (problem,) = problems_in("\n".join(lines), tmp_path)
    assert "aliases stand for more than 100000 values" in problem.message


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    """A hundred thousand brackets end in one problem, not in a recursion error."""
    (problem,) = problems_in("a: " + "[" * 100_000, tmp_path)
    assert "nest" in problem.message, "newer YAML parsers refuse it themselves"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """A data file given by mistake is refused by its size."""
    (problem,) = problems_in("a: b\n" * 300_000, tmp_path)
    assert "is larger than 1048576 bytes" in problem.message


def test_a_file_of_nothing_but_mistakes_is_answered_soon(tmp_path: Path) -> None:
    """Tens of thousands of unknown keys and names end in a hundred problems and a word about the others."""
    lines = "".join(f"key{i}: 1\n" for i in range(10_000))
    names = ", ".join(f"a.n{i}: 1" for i in range(10_000))
    found = problems_in(f"{swept('')}{lines}parameters: {{{names}}}\n", tmp_path)
    assert len(found) == 101
    assert "more than 100 problems" in found[-1].message


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    """A file that is not there is answered with the one that was probably meant."""
    (tmp_path / "heat.yaml").touch()
    (problem,) = problems_of(tmp_path / "heta.yaml")
    assert problem.message == "no such file"
    assert problem.hint == f"did you mean `{tmp_path / 'heat.yaml'}`?"
    assert problems_of(tmp_path / "heat.yml")[0].hint == problem.hint


def test_a_directory_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    """A directory names the files inside; a FIFO does not hold the reader up."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.yaml").touch()
    (problem,) = problems_of(tmp_path / "d")
    assert (problem.message, "x.yaml" in problem.hint) == ("is a directory, not a file", True)
    os.mkfifo(tmp_path / "p.yaml")
    assert "not a regular file" in problems_of(tmp_path / "p.yaml")[0].message


def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    """The reason of the operating system is passed on."""
    path = tmp_path / "s.yaml"
    path.symlink_to(path)
    assert "cannot be read: Too many levels" in problems_of(path)[0].message
