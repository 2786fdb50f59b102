"""The files of a run: whole or absent, readable while growing, and what they say."""

import ctypes
import fcntl
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import jsonschema
import numpy as np
import pytest

from hsm.physics import backend
from hsm.physics.artifacts import write_json
from hsm.physics.environment import read_environment
from hsm.physics.history import HistoryFile
from hsm.physics.interruption import Interruption
from hsm.physics.metrics import diagnose
from hsm.physics.outcome import Ending, completed
from hsm.physics.parameters import Params
from hsm.physics.provenance import schema
from hsm.physics.record import Record, record
from hsm.physics.run import run
from hsm.physics.simulate import Frame
from hsm.physics.status import Status

Make = Callable[..., Params]


def frame(t: float, value: complex = 1.0) -> Frame:
    psi = np.full((16, 16), value, np.complex64)
    return Frame(t=t, step=round(10 * t), psi=psi, omega=None, figures=diagnose(psi, 4))


def kept(shown: Frame) -> Record:
    return record(Params(N=16, L=8), shown, cg_iterations=3)


COUNT_FRAMES = """
import h5py, sys
with h5py.File(sys.argv[1], "r", swmr=True) as file:
    count = len(file["t"])
    print(count, file["rho"].shape[0], float(file["rho"][count - 1].mean()), file.attrs["status"])
"""


def test_growing_history_is_readable_by_another_process(tmp_path: Path) -> None:
    """While the writer holds it open, a reader sees every frame appended so far, under the part name only."""
    path = tmp_path / "rho_history.h5"
    with HistoryFile(path, (16, 16), {"params": "{}"}) as file:
        for t in (0.0, 1.0, 2.0):
            file.append(kept(frame(t, 1 + t)))
        seen = subprocess.run(
            [sys.executable, "-c", COUNT_FRAMES, str(path) + ".part"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert seen.stdout.split() == ["3", "3", "9.0", "running"]
        assert not path.exists()
        file.finish(frame(2.0, 3), completed(2.0, 20))
    assert path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_locks_of_others_do_not_stop_the_writer(tmp_path: Path) -> None:
    """Whoever locks the file, from its first byte to its last: it is written, and gets its name."""
    path, part = tmp_path / "rho_history.h5", tmp_path / "rho_history.h5.part"
    part.touch()
    with part.open("rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        with HistoryFile(path, (16, 16), {}) as file:
            file.append(kept(frame(0.0)))
            file.finish(frame(0.0), completed(0.0, 0))
    assert path.exists()


def test_history_of_a_run_that_fails_never_gets_its_final_name(tmp_path: Path) -> None:
    """An exception leaves the part file, closed and readable."""
    path = tmp_path / "rho_history.h5"
    with pytest.raises(RuntimeError, match="boom"), HistoryFile(path, (16, 16), {}) as file:  # noqa: PT012
        file.append(kept(frame(0.0)))
        raise RuntimeError("boom")
    assert [left.name for left in tmp_path.iterdir()] == ["rho_history.h5.part"]
    with h5py.File(tmp_path / "rho_history.h5.part") as left:
        assert left["rho"].shape == (1, 16, 16)


def test_json_is_strict_and_replaced_whole(tmp_path: Path) -> None:
    """NaN is refused and the file that was there stays."""
    path = tmp_path / "metrics.json"
    write_json(path, {"pcs": 0.5})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"pcs": float("nan")})
    assert json.loads(path.read_text()) == {"pcs": 0.5}
    assert list(tmp_path.iterdir()) == [path]


def do_run(
    p: Params,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    interruption: Interruption | None = None,
    **variables: str,
) -> Ending:
    monkeypatch.chdir(folder)
    environ = {
        "HSM_CONFIG_HASH": "c0ffee",
        "HSM_TASK_ID": "task_0007",
        "HSM_JAX_CACHE": str(folder / "cache"),
        **variables,
    }
    return run(p, read_environment(environ)[0], environ, interruption or Interruption(lambda: 0.0))


def test_run_writes_every_file_with_its_identity(
    params: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """History, metrics, picture and provenance of one run agree with each other and with the parameters."""
    p = params(T=4, dtype="f32", seed=2**64 - 1)
    assert do_run(p, tmp_path, monkeypatch) == completed(4.0, 20)
    metrics, told = (
        json.loads((tmp_path / name).read_text()) for name in ("metrics.json", "provenance.json")
    )
    with h5py.File(tmp_path / "results" / "rho_history.h5") as file:
        assert file["rho"].shape == (5, 32, 32)
        assert (file["rho"].dtype, file["rho"].chunks, file["rho"].compression) == (
            np.float32,
            (1, 32, 32),
            None,
        )
        assert list(file["t"]) == pytest.approx([0, 1, 2, 3, 4])
        assert file["psi_final"].dtype == np.complex64
        assert np.allclose(np.abs(file["psi_final"][:]) ** 2, file["rho"][-1], atol=1e-6)
        assert metrics["mean_rho"] == pytest.approx(file["rho"][-1].mean(), rel=1e-5)
        assert file["series/mean_rho"][-1] == metrics["mean_rho"]
        assert file["series/defect_count"].dtype == np.int64
        assert file["series/mass"][-1] == metrics["mass"] == pytest.approx(p.L**2 * metrics["mean_rho"])
        assert file["series/max_amplitude"][-1] == metrics["max_amplitude"]
        assert metrics["max_amplitude"] == pytest.approx(np.abs(file["psi_final"][:]).max(), rel=1e-5)
        assert file["series/free_energy"][-1] == metrics["free_energy"]
        assert np.all(np.isnan(file["series/h_norm"]))
        assert "omega_final" not in file
        assert (file.attrs["status"], file.attrs["schema"]) == ("ok", "hsm.physics.rho_history/4")
        own = dict(file["identity"].attrs)
        assert json.loads(own["params"]) == json.loads(p.canonical_json()) == told["params"]
        assert (own["config_hash"], own["task_id"], own["model"]) == ("c0ffee", "task_0007", "sncgl")
        assert (own["seed"], own["precision"], own["N"]) == (str(2**64 - 1), "f32", 32)
        assert (own["L"], own["dimension"], own["dt"]) == (16.0, 2, told["solver"]["h"])
        assert own["version_jax"] == told["versions"]["jax"]
    jsonschema.Draft202012Validator(schema()).validate(told)
    assert (told["config_hash"], told["task_id"], told["status"]) == ("c0ffee", "task_0007", "ok")
    assert told["solver"]["h"] == pytest.approx(0.2)
    assert told["timing"]["wall_s"] > told["timing"]["stepping_s"] > 0
    for name in ("density", "phase", "spectrum"):
        assert (tmp_path / "results" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_hsm_started_leaves_it_to_hsm_to_make_its_files_durable(
    params: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone it syncs every file and its folder; as an attempt none, since a seal syncs them all at once."""
    synced: list[int] = []
    monkeypatch.setattr("hsm.physics.artifacts.os.fsync", synced.append)
    counts = []
    for name, variables in {"alone": {}, "attempt": {"HSM_ATTEMPT": "1"}}.items():
        (tmp_path / name).mkdir()
        do_run(params(T=1), tmp_path / name, monkeypatch, None, **variables)
        counts.append(len(synced))
        synced.clear()
    assert counts == [14, 0]


def test_a_checkpoint_is_synced_whoever_started_the_run(
    params: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another attempt goes on from it, which no seal precedes."""
    synced: list[int] = []
    monkeypatch.setattr("hsm.physics.artifacts.os.fsync", synced.append)
    folder = str(tmp_path / "checkpoint")
    variables = {"HSM_ATTEMPT": "1", "HSM_CHECKPOINT": folder, "HSM_CHECKPOINT_EVERY_S": "0"}
    do_run(params(T=1), tmp_path, monkeypatch, None, **variables)
    assert synced


def test_same_run_writes_the_same_bytes(
    params: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """History, metrics and picture repeat bit for bit; nothing in them depends on time or place."""
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        do_run(params(T=2), tmp_path / name, monkeypatch)
        pictures = ("density", "phase", "spectrum")
        same = ("results/rho_history.h5", "metrics.json", *(f"results/{one}.png" for one in pictures))
        contents.append([(tmp_path / name / file).read_bytes() for file in same])
    assert contents[0] == contents[1]


def test_blow_up_is_an_outcome_with_its_outputs(
    params: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics are null with status and reason, and the frames before the blow-up are kept."""
    p = replace(params(T=80, save_every=2, c=2, dtype="f32"), h=2.0)
    assert do_run(p, tmp_path, monkeypatch).status is Status.BLOWN_UP
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["status"] == "blown_up"
    assert "last good t" in metrics["reason"]
    assert {metrics[name] for name in ("pcs", "mean_rho", "spectral_tail", "defect_count")} == {None}
    with h5py.File(tmp_path / "results" / "rho_history.h5") as file:
        assert file.attrs["status"] == "blown_up"
        assert np.all(np.isfinite(file["rho"][:]))
        assert file["psi_final"].attrs["t"] == file["t"][-1]
    assert json.loads((tmp_path / "provenance.json").read_text())["ending"]["bad_step"] > 1


def test_run_stops_before_its_deadline(params: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than the closing margin left the run ends with status timeout, and its files are whole."""
    interruption = Interruption(lambda: 1000.0)
    interruption.deadline_s = 1001.0
    assert do_run(params(), tmp_path, monkeypatch, interruption).status is Status.TIMEOUT
    with h5py.File(tmp_path / "results" / "rho_history.h5") as file:
        assert (file.attrs["status"], file["rho"].shape[0]) == ("timeout", 1)


def test_cache_entry_appears_whole_and_is_found_again(tmp_path: Path) -> None:
    """Until it is published an entry is invisible; two that race leave one; nothing else is left behind."""
    program = {"N": 32}
    first, second = (backend.open_cache(tmp_path, program) for _ in range(2))
    assert first.folder is not None
    assert second.folder is not None
    assert not first.final.exists()
    for cache, folder in ((first, first.folder), (second, second.folder)):
        (folder / "entry").write_bytes(b"code")
        cache.publish()
    assert not first.warm
    assert backend.open_cache(tmp_path, program).warm
    assert [found.name for found in tmp_path.iterdir()] == [first.final.name]
    assert backend.open_cache(tmp_path, {"N": 64}).final != first.final
    backend.open_cache(tmp_path, program).publish()


def test_unusable_cache_folder_means_no_cache(tmp_path: Path) -> None:
    """A root that cannot be made is not an error."""
    (tmp_path / "file").write_text("in the way")
    cache = backend.open_cache(tmp_path / "file" / "below", {"N": 32})
    assert cache.folder is None
    cache.publish()


def test_cache_root_follows_the_environment() -> None:
    """HSM_JAX_CACHE, else XDG_CACHE_HOME, else the home folder."""
    assert backend.cache_root({"HSM_JAX_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert backend.cache_root({"XDG_CACHE_HOME": "/b"}) == Path("/b/hsm/jax")
    assert backend.cache_root({}) == Path.home() / ".cache" / "hsm" / "jax"


def test_threads_follow_the_allotted_cores() -> None:
    """HSM_CPUS limits XLA's threads, and nothing that the user has set is overridden."""
    environ = {"HSM_CPUS": "1", "JAX_PLATFORMS": "cuda"}
    backend.prepare_environment(environ)
    assert (environ["NPROC"], environ["PJRT_NPROC"], environ["JAX_PLATFORMS"]) == ("1", "1", "cuda")
    environ = {}
    backend.prepare_environment(environ)
    assert environ == {"JAX_PLATFORMS": "cpu"}


def test_another_c_library_keeps_its_own_ways_with_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the allocator of the GNU C library is asked of no other, and is no error there."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=lambda *args: asked.append(args)))
    backend.keep_freed_memory()
    assert asked == [(-3, 16 << 20), (-1, 64 << 20)]
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    backend.keep_freed_memory()


def test_record_is_the_same_after_a_stay_in_a_file() -> None:
    """Every figure and every point of the density, bit for bit; None stays None and integers integers."""
    odd = kept(frame(0.1, 1 / 3 + 0.7j))
    back = Record.unpacked(odd.packed(), (16, 16))
    assert np.array_equal(back.rho, odd.rho)
    assert back.rho.dtype == np.float32
    assert replace(back, rho=odd.rho) == odd
    assert back.figures.h_norm is None
    assert isinstance(back.cg_iterations, int)


def test_frames_can_be_read_back_while_the_history_grows(tmp_path: Path) -> None:
    """From any one on, as they were appended."""
    with HistoryFile(tmp_path / "rho_history.h5", (16, 16), {}) as file:
        given = [kept(frame(t, 1 + t)) for t in (0.0, 1.0, 2.0)]
        for each in given:
            file.append(each)
        assert [one.packed() for one in file.records(1)] == [one.packed() for one in given[1:]]
        assert file.count == 3


FILES = (
    "metrics.json",
    *(f"results/{name}" for name in ("rho_history.h5", "claims.json")),
    *(f"results/{name}" for name in ("density.png", "phase.png", "spectrum.png")),
)


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_run_that_is_stopped_anywhere_goes_on_to_the_same_files(
    params: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    """At t = 0, within a frame, at its end; the next attempt's files are those of a run left alone."""
    p = replace(params(T=4, save_every=2, N=16, L=8), h=0.02)
    for name in ("alone", "first", "second"):
        (tmp_path / name).mkdir()
    do_run(p, tmp_path / "alone", monkeypatch)
    moments = iter([*([0.0] * asked), 1000.0])
    interruption = Interruption(lambda: next(moments))
    interruption.deadline_s = 500.0
    kept_in = {"HSM_CHECKPOINT": str(tmp_path / "checkpoint")}
    ending = do_run(p, tmp_path / "first", monkeypatch, interruption, **kept_in)
    assert (ending.status, ending.step) == (Status.TIMEOUT, asked * 50)
    assert ending.reason is not None
    assert "a checkpoint was kept" in ending.reason
    assert do_run(p, tmp_path / "second", monkeypatch, None, **kept_in).status is Status.OK
    for name in FILES:
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name
    told = json.loads((tmp_path / "second" / "provenance.json").read_text())
    assert told["resumed"] == {"step": asked * 50, "t": asked * 1.0, "attempts": 1, "same_processor": True}
    assert told["timing"]["earlier_attempts_s"] > 0
    assert not (tmp_path / "checkpoint").exists()


def test_checkpoint_that_cannot_be_written_ends_no_run(
    params: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, and the run goes on to its end."""
    (tmp_path / "file").write_text("in the way")
    variables = {"HSM_CHECKPOINT": str(tmp_path / "file" / "below"), "HSM_CHECKPOINT_EVERY_S": "0"}
    assert do_run(params(T=2), tmp_path, monkeypatch, None, **variables).status is Status.OK
    told = capsys.readouterr().err
    assert "the checkpoint cannot be read" in told
    assert "no checkpoint could be written" in told
