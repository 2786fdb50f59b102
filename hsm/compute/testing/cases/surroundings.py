"""Cases of surroundings: what a program is given, exactly as it was ordered."""

from __future__ import annotations

import json
import sys
from typing import Any

import yaml

from hsm.compute.testing.ability import Ability
from hsm.compute.testing.case import CaseBase, case
from hsm.compute.testing.plays import Play
from hsm.compute.testing.site import Site

AWKWARD = {
    "space": "two words",
    "empty": "",
    "single": "it's",
    "double": 'say "no"',
    "dollar": "$(touch hacked) `touch hacked` $HOME ${x}",
    "newline": "one\ntwo\r\n\ttabbed",
    "dash": "--help",
    "semicolon": "; rm -rf .; #",
    "glob": "* ? [a]",
    "backslash": "a\\b\\n",
    "unicode": "ψ — Größe 🌡 \u2028 \x85",
    "percent": "%s %d %(x)s {k}",
    "words": ["no", "yes", "on", "null", "~", "1:30", "1e-3", "0o7", "=", "<<", "2024-01-01", "! !!x"],
}
NUMBERS = {"small": 1e-05, "tiny": 1e-300, "whole": 3.0, "large": 1e22, "zero": -0.0, "integer": 7}
OTHERS = {"truth": True, "nothing": None, "nested": {"a.b": [1, [2.5, {"c": "no"}]], "": "x"}, "no": 1}

DUMP = """
import json, os, sys
json.dump({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}, open("results/seen.json", "w"))
"""
READS = Play("reads", "cat; echo end of input")
BROKEN_PIPE = Play("pipe", "yes | head -n 1; grep SigBlk /proc/self/status | tr -d '\\t0'")


class SurroundingsCases(CaseBase):
    """A program sees what was ordered: arguments, parameters, variables, directory, input."""

    @case(Ability.DIRECTORIES, variables={"AWKWARD": AWKWARD["newline"] + AWKWARD["unicode"], "EMPTY": ""})  # type: ignore[operator]
    async def test_awkward_values_arrive_intact(self, site: Site) -> None:
        """Arguments, variables and parameters arrive as they are, whatever a shell or YAML makes of them."""
        params: dict[str, Any] = {**AWKWARD, **NUMBERS, **OTHERS}
        arguments = [value for value in AWKWARD.values() if isinstance(value, str)]
        command = (sys.executable, "-I", "-S", "-c", DUMP, *arguments)
        (order,) = await site.submit(command, params=params)
        (seen,) = await site.ended([order])
        assert seen.cause is None, seen.reason
        directory = await site.fetched(order)
        found = json.loads((directory / "results" / "seen.json").read_text(encoding="utf-8"))
        assert found["argv"] == arguments
        assert found["env"]["AWKWARD"] == f"{AWKWARD['newline']}{AWKWARD['unicode']}"
        assert found["env"]["EMPTY"] == ""
        assert _typed(yaml.safe_load((directory / "params.yaml").read_text(encoding="utf-8"))) == _typed(
            json.loads(order.params_json)
        )
        assert not (directory / "hacked").exists()

    @case(Ability.DIRECTORIES)
    async def test_a_program_knows_its_task(self, site: Site) -> None:
        """A program runs in its own directory and is told task, parameters, seed, results and deadline."""
        command = (sys.executable, "-I", "-S", "-c", DUMP)
        (order,) = await site.submit(command, timeout_s=3600.0)
        (seen,) = await site.ended([order])
        directory = await site.fetched(order)
        found = json.loads((directory / "results" / "seen.json").read_text(encoding="utf-8"))
        env, cwd = found["env"], found["cwd"]
        assert env["HSM_TASK_ID"] == "task_0001"
        assert (env["HSM_ATTEMPT"], env["HSM_SEED"]) == ("1", "1")
        assert env["HSM_CONFIG_HASH"] == order.config_hash
        assert env["HSM_PROJECT"] == str(site.source.project(site.root))
        assert env["HSM_PARAMS"] == f"{cwd}/params.yaml"
        assert env["HSM_RESULTS"] == f"{cwd}/results"
        assert env["PWD"] == cwd
        assert env["HSM_CHECKPOINT"]
        assert env["CUDA_VISIBLE_DEVICES"] == ""
        assert abs(float(env["HSM_DEADLINE"]) - (seen.started_at + 3600)) < 5

    @case(Ability.DIRECTORIES)
    async def test_a_program_has_no_input(self, site: Site) -> None:
        """A program that reads its standard input finds it empty, and does not wait."""
        (order,) = await site.submit(READS())
        await site.ended([order])
        assert (await site.fetched(order) / "stdout.log").read_text() == "end of input\n"

    @case(Ability.DIRECTORIES)
    async def test_signals_are_at_their_defaults(self, site: Site) -> None:
        """A program finds no signal ignored or blocked: the writer of a broken pipe ends silently."""
        (order,) = await site.submit(BROKEN_PIPE())
        (seen,) = await site.ended([order])
        directory = await site.fetched(order)
        assert (directory / "stderr.log").read_text() == ""
        assert (directory / "stdout.log").read_text() == "y\nSigBlk:\n"
        assert seen.cause is None


def _typed(value: Any) -> Any:
    """Return a value in which 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return type(value).__name__, value
