"""Scripts for hosts: handed to any shell, told apart from noise, and read with suspicion."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.compute.ssh.scripts import (
    USUAL_PYTHONS,
    between_sentinels,
    command_of,
    read_answer,
    read_survey,
    survey,
)

WORD = "0123abcd"
HARD = "a'b\"c\\d\\n!e `f` $(g) $h %i é\tj ; k & l # m * ~ ^ { }"


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "fish", "tcsh"])
def test_every_shell_hands_the_same_script_on(shell: str) -> None:
    """Whatever signs it is made of, lines included."""
    if shutil.which(shell) is None:
        pytest.skip(f"NO {shell}: scripts are not tried in it")
    script = f"cat <<'END'\n{HARD}\nsecond line\nEND\n"
    done = subprocess.run([shell, "-c", command_of(script)], check=True, capture_output=True, text=True)
    assert done.stdout == f"{HARD}\nsecond line\n"


@given(st.text())
def test_a_command_line_is_one_line_of_harmless_signs(script: str) -> None:
    """Between its quotes stands nothing that any shell would look at."""
    command = command_of(script)
    assert command.isascii()
    assert command.isprintable()
    assert "!" not in command
    assert command.count("'") == 4


@given(noise=st.binary(), stdout=st.binary(), stderr=st.binary(), code=st.integers(0, 255))
def test_what_a_script_says_is_found_between_any_noise(
    noise: bytes, stdout: bytes, stderr: bytes, code: int
) -> None:
    """Byte for byte, before it and after it."""
    begin, end = f"\n@@hsm-begin {WORD}\n".encode(), f"\n@@hsm-end {WORD} {code}\n".encode()
    answer = read_answer(noise + begin + stdout + end + noise, noise + begin + stderr, WORD)
    assert answer == (code, stdout, stderr, noise * 3)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\n@@hsm-begin 0123abcd\nhalf a sent",
        b"\n@@hsm-begin 0123abcd\nall\n@@hsm-end 0123abcd ",
        b"\n@@hsm-begin 0123abcd\nall\n@@hsm-end 0123abcd 12",
        b"\n@@hsm-begin 0123abcd\nall\n@@hsm-end 0123abcd x\n",
        b"\n@@hsm-begin 0123abcd\nall\n@@hsm-end ffffffff 0\n",
        b"all\n@@hsm-end 0123abcd 0\n",
    ],
)
def test_a_script_that_was_cut_off_has_no_answer(said: bytes) -> None:
    """At whatever byte."""
    assert read_answer(said, b"", WORD) is None


def test_the_status_of_a_script_that_exits_is_told() -> None:
    """The sentinel stands behind it all the same."""
    script = between_sentinels("echo data; exit 7", WORD)
    done = subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    answer = read_answer(done.stdout, done.stderr, WORD)
    assert answer == (7, b"data\n", b"", b"")


def test_the_first_script_finds_the_interpreter_that_it_names() -> None:
    """What it prints is what is read."""
    done = subprocess.run(
        ["sh", "-c", survey("/tmp", ["no-such-python", *USUAL_PYTHONS], "no/such/program")],
        check=True,
        capture_output=True,
    )
    found = read_survey(done.stdout)
    assert (found.root, found.has_program, found.fault) == ("/tmp", False, "")
    version = subprocess.run([found.python, "-V"], check=True, capture_output=True, text=True).stdout
    assert version == f"Python {found.version}\n"


@pytest.mark.parametrize("root", ["~/x; touch canary", "/tmp/$(touch canary)", "/tmp/`touch canary`"])
def test_no_path_becomes_a_command(root: str, tmp_path: Path) -> None:
    """Neither of the directory, nor of an interpreter."""
    root = root.replace("/tmp", str(tmp_path))
    done = subprocess.run(
        ["sh", "-c", survey(root, [root], root)],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert read_survey(done.stdout).root == root.replace("~", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [root.rpartition("/")[2]]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"root relative\n",
        b"root /x\nversion 3.11.1\n",
        b"root /x\nrm -rf\n",
        b"\xff\n",
    ],
)
def test_a_survey_that_says_something_else_is_refused(said: bytes) -> None:
    """It is an answer of the host, and worth no trust."""
    with pytest.raises(ValueError, match=r"none|decode"):
        read_survey(said)


@pytest.mark.parametrize("version", ["3.8.20", "2.7.18", "3.9", "x.y.z", "3.999999999.1", "-3.11.1"])
def test_no_other_version_is_recent(version: str) -> None:
    """What cannot be read as a version is none."""
    found = read_survey(f"root /x\ntried /usr/bin/python3\nversion {version}\nexecutable /p\n".encode())
    assert found.python == ""
    assert found.found == (f"/usr/bin/python3 is {version}",)
