"""The command of a task: values arrive as they are, whatever they hold, and no shell ever sees them bare."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.core.command import CommandTemplate, printable
from hsm.core.model import Task
from hsm.core.spec import ArgumentStyle, ProgramSpec
from hsm.core.template import TemplateError
from hsm.wire.canonical import canonical_json

HOSTILE = [
    "$(touch {canary})",
    "`touch {canary}`",
    "; touch {canary} #",
    "' ; touch {canary} ; '",
    '" && touch {canary} "',
    "a\nb",
    "| cat /etc/passwd",
    "$HOME ${PATH} ~ * ? [a-z] {a,b}",
    "-rf",
    "--",
    "\\",
    "",
    " ",
    "é \U0001f600 \u2028",
    "%s {k} {{k}}",
    "!!",
    "\x01\x1b[31m",
]


def task(**params: Any) -> Task:
    return Task(index=3, config_hash="c" * 64, task_key="k", params_json=canonical_json(params), seed=9)


def argv(*command: str, shell: bool = False, hydra: bool = False, **params: Any) -> tuple[str, ...]:
    style = ArgumentStyle.HYDRA if hydra else ArgumentStyle.TEMPLATE
    program = ProgramSpec(command=command, shell=shell, arguments=style)
    return CommandTemplate(program, Path("/project")).argv(task(**params))


def test_placeholders_become_values() -> None:
    """Numbers as shortest text, booleans and null as JSON, lists as compact JSON."""
    values: dict[str, Any] = {
        "k": 1e-05,
        "n": 3,
        "on": True,
        "off": None,
        "s": "x y",
        "l": [1, "a"],
        "m": {"deep": 2},
    }
    assert argv("run", "--k={k}", "{n}", "{on}{off}", "{s}", "{l}", "{m.deep}", "{{k}}", **values) == (
        "run", "--k=1e-05", "3", "truenull", "x y", '[1,"a"]', "2", "{k}",
    )  # fmt: skip


def test_hsm_fills_in_its_own_names() -> None:
    """And they cannot be taken over by a parameter."""
    found = argv(
        "{project}", "{config_hash}", "{task_id}", "{seed}", "{results}", "{params}", project="evil", seed=1
    )
    assert found == ("/project", "c" * 64, "task_0003", "9", "results", "params.yaml")


def test_a_name_without_a_value_is_refused() -> None:
    """Nothing is guessed, nothing is left standing."""
    with pytest.raises(TemplateError, match=r"'\{x\}' has no value"):
        argv("run", "{x}", k=1)


@pytest.mark.parametrize("value", HOSTILE)
def test_an_argument_is_one_argument(value: str) -> None:
    """Without a shell there is nothing to quote, and nothing is interpreted."""
    assert argv("run", "{v}", "--v={v}", v=value) == ("run", value, f"--v={value}")


@pytest.mark.parametrize("value", HOSTILE)
def test_a_shell_sees_every_value_as_one_word(tmp_path: Path, value: str) -> None:
    """A real shell prints exactly what was meant and runs nothing of it."""
    canary = tmp_path / "canary"
    hostile = value.replace("{canary}", str(canary))
    line = argv("printf %s {v}; printf %s x{v}", shell=True, v=hostile)
    assert line[:2] == ("/bin/sh", "-c")
    done = subprocess.run(line, cwd=tmp_path, check=True, capture_output=True)
    assert done.stdout.decode() == f"{hostile}x{hostile}"
    assert not canary.exists()


def test_the_shells_own_text_is_the_users() -> None:
    """What the user wrote for the shell, the shell gets."""
    assert (
        argv("echo {k} | wc -l > $HSM_RESULTS/n", shell=True, k="a b")[2]
        == "echo 'a b' | wc -l > $HSM_RESULTS/n"
    )


def test_hydra_arguments_follow_the_command() -> None:
    """One `name=value` for every parameter, in the order of the canonical parameters."""
    found = argv("train.py", hydra=True, lr=0.1, name="a b", flags=[1, True])
    assert found == ("train.py", "flags=[1,true]", "lr=0.1", "name='a b'")


def test_hydra_arguments_are_quoted_for_a_shell() -> None:
    """The grammar's own quotes arrive at the program."""
    line = argv("printf '%s\\n'", shell=True, hydra=True, name="a b'c", k=1)
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    assert done.stdout == "k=1\nname='a b\\'c'\n"


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(texts, min_size=1, max_size=4))
@settings(max_examples=15)
def test_any_text_survives_a_real_process(values: list[str]) -> None:
    """What a program finds in its argv is what the parameter was."""
    import unicodedata

    params: dict[str, Any] = {
        f"p{number}": unicodedata.normalize("NFC", value) for number, value in enumerate(values)
    }
    echo = "import sys; sys.stdout.buffer.write('\\0'.join(sys.argv[1:]).encode())"
    found = argv(sys.executable, "-S", "-c", echo, *(f"{{{name}}}" for name in params), **params)
    assert found[-len(values) :] == tuple(params.values())


def test_a_printed_command_can_be_typed() -> None:
    """Quoted as a shell needs it."""
    assert printable(("run", "a b", "$x")) == "run 'a b' '$x'"
