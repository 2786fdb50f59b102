"""The program as HSM starts it: a process, its environment, its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest

from hsm.physics.environment import given_parameters, read_environment
from hsm.physics.interruption import Interruption
from hsm.physics.status import Status
from hsm.physics.worker import exit_code, main, usage

SMALL = ["N=16", "L=8", "T=2", "save_every=1"]
ROOT = Path(__file__).parents[3]


def start(folder: Path, arguments: list[str], **extra: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
    environ = {**kept, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), **extra}
    command = [sys.executable, "-m", "hsm.physics", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@dataclass(frozen=True)
class Run:
    """A program that was started, and the folder it was started in."""

    folder: Path
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def attempt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A short run with all that HSM gives a program; it begins while other tests wait for theirs."""
    folder = tmp_path_factory.mktemp("attempt")
    (folder / "params.yaml").write_text("N: 16\nL: 8\nb: 1e-05\nsave_every: 1\ninit:\n  amp: 0.1\n")
    given = {"HSM_PARAMS": str(folder / "params.yaml"), "HSM_RESULTS": str(folder / "elsewhere")}
    told = {"HSM_SEED": "41", "HSM_CONFIG_HASH": "beef", "HSM_TASK_ID": "task_0001", "HSM_CPUS": "1"}
    with start(folder, ["T=2", "c=0.5"], **given, **told) as process:
        yield Run(folder, process)
        process.kill()


def test_sigterm_ends_a_run_within_a_second_or_so_with_valid_files(tmp_path: Path, attempt: Run) -> None:
    """The status is cancelled, the exit code tells the signal, and what was saved can be read."""
    process = start(tmp_path, ["N=64", "L=32", "T=100000", "save_every=2"])
    assert process.stdout is not None
    process.stdout.readline()
    (first_frame, asked) = (tmp_path / "results" / "rho_history.h5.part", time.monotonic())
    assert first_frame.exists()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=50)
    assert (process.returncode, err) == (143, "")
    assert (
        time.monotonic() - asked < 10
    )  # a chunk is 0.1 s; compiling, on a busy machine, is what may take longer
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["status"], metrics["pcs"]) == ("cancelled", None)
    with h5py.File(tmp_path / "results" / "rho_history.h5") as file:
        assert file.attrs["status"] == "cancelled"
        assert len(file["t"]) == file["rho"].shape[0] >= 1
    assert json.loads((tmp_path / "provenance.json").read_text())["status"] == "cancelled"


def test_bad_parameters_end_with_code_2_and_every_error(tmp_path: Path) -> None:
    """Nothing is written, and stderr names all problems at once."""
    given = {"HSM_DEADLINE": "soon", "HSM_CHECKPOINT_EVERY_S": "-1", "HSM_PARAMS": "nowhere.yaml"}
    process = start(tmp_path, ["kapa=0.1", "N=17", "h=0.9", "init_k0=0", "loose"], **given)
    _, err = process.communicate(timeout=50)
    assert process.returncode == 2
    assert err.startswith("error: 8 bad parameters\n")
    told = [
        "HSM_DEADLINE: expected seconds since 1970",
        "HSM_CHECKPOINT_EVERY_S: expected a number of seconds",
        "HSM_PARAMS: nowhere.yaml cannot be read",
        "loose: expected key=value",
        "kapa: unknown parameter; did you mean kappa?",
        "N: expected a multiple of 4 from 16 to 4096, got 17",
        "init_k0: expected a number from 0.001 to 1000, got 0",
        "h: 0.9 is not stable; the largest step for these parameters is",
    ]
    assert [part for part in told if part not in err] == []
    assert told[-1] in err.splitlines()[-1], "of a failed task the last line is quoted"
    assert list(tmp_path.iterdir()) == []


def test_attempt_reads_its_environment_and_leaves_its_files(attempt: Run) -> None:
    """Parameters come from the file, overrides from the command line, the seed from HSM_SEED."""
    folder, process = attempt.folder, attempt.process
    results = folder / "elsewhere"
    out, err = process.communicate(timeout=50)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "ok"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["status"] == "ok"
    assert 0 < metrics["pcs"] <= 1
    told = json.loads((folder / "provenance.json").read_text())
    assert (told["params"]["b"], told["params"]["c"], told["params"]["init_amp"]) == (1e-5, 0.5, 0.1)
    assert (told["seed"], told["config_hash"], told["machine"]["threads_allowed"]) == (41, "beef", "1")
    with h5py.File(results / "rho_history.h5") as file:
        assert file["rho"].shape == (3, 16, 16)
    names = ["claims.json", "density.png", "phase.png", "rho_history.h5", "spectrum.png"]
    assert sorted(path.name for path in results.iterdir()) == names
    assert len(list((folder / "cache" / "hsm" / "jax").iterdir())) == 1


def test_results_that_cannot_be_written_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A results path that is a file ends with code 1 and says so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").write_text("in the way")
    assert main(SMALL, {"HSM_JAX_CACHE": str(tmp_path / "cache")}, Interruption(lambda: 0.0)) == 1
    assert "the results could not be written" in capsys.readouterr().err


def test_exit_codes_tell_answers_from_interruptions() -> None:
    """Only a run that was stopped fails; a blow-up is an answer."""
    stopped = Interruption(lambda: 0.0)
    stopped.signal = signal.SIGINT
    codes = {status: exit_code(status, stopped) for status in Status}
    assert codes.pop(Status.CANCELLED) == 130
    assert codes.pop(Status.TIMEOUT) == 124
    assert set(codes.values()) == {0}


def test_deadline_may_be_seconds_or_a_time_with_its_offset() -> None:
    """A time without an offset would mean another moment on another machine: it is refused."""
    assert read_environment({"HSM_DEADLINE": "86400.5"})[0].deadline_s == 86400.5
    assert read_environment({"HSM_DEADLINE": "1970-01-02T01:00:00+01:00"})[0].deadline_s == 86400
    for bad in ("soon", "1970-01-02T00:00:00"):
        _, problems = read_environment({"HSM_DEADLINE": bad})
        assert len(problems) == 1
        assert problems[0].startswith("HSM_DEADLINE: expected")


def test_given_seed_wins_over_the_environment_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise replicates would silently be the same run."""
    environment, _ = read_environment({"HSM_SEED": "7"})
    assert given_parameters(environment, ["b=1"]) == ({"b": 1, "seed": "7"}, [])
    assert given_parameters(environment, ["seed=3"]) == ({"seed": 3}, [])
    assert "HSM_SEED=7 is not used" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["- 1\n", "a: [\n", "\xff"])
def test_parameter_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: str) -> None:
    """A list, broken YAML, and a file that is not text."""
    path = tmp_path / "params.yaml"
    path.write_bytes(content.encode("latin-1"))
    environment, _ = read_environment({"HSM_PARAMS": str(path)})
    _, problems = given_parameters(environment, [])
    assert len(problems) == 1
    assert problems[0].startswith("HSM_PARAMS: ")


def test_help_lists_every_parameter_with_its_default() -> None:
    """The help is made from the rules themselves."""
    text = usage()
    assert "  b = 2.0\n      linear dispersion; a number from -10 to 10" in text
    assert "  h = auto" in text
    assert "  source_kind = none" in text
