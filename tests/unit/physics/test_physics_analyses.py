"""The analyses that ship with HSM, as programs: fields and motions that are known; what cannot be made."""

import csv
import json
import sys
from math import pi, tau
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from hsm.config.analyses import installed, per_result
from hsm.physics.analyses import ARTIFACT
from hsm.physics.analyses.legacy import residual
from hsm.physics.analyses.program import MAKERS, PARTS, main
from hsm.physics.history import BALANCE, SCHEMA
from hsm.physics.parameters import read_params
from hsm.physics.record import COLUMNS
from tests.unit.physics import made

SPACING = made.L / made.N


def lattice(shift: float) -> np.ndarray:
    """Return four vortices, all of which have moved along x."""
    x, y = made.X * SPACING - shift, made.Y * SPACING
    return np.sin(tau * x / made.L) + 1j * np.sin(tau * (y - 1.3) / made.L)


def write_history(path: Path, fields: list[np.ndarray], every: float = 0.5) -> Path:
    """Write the finished history of some fields."""
    params = read_params({"N": fields[0].shape[0], "L": made.L, "T": 10.0, "dim": fields[0].ndim})
    with h5py.File(path, "w") as file:
        file.attrs.update({"schema": SCHEMA, "status": "ok", "reason": ""})
        file.create_group("identity").attrs["params"] = params.canonical_json()
        file["rho"] = np.array([np.abs(psi) ** 2 for psi in fields], np.float32)
        file["t"] = every * np.arange(len(fields))
        file["psi_final"] = fields[-1].astype(np.complex64)
        for name in COLUMNS:
            file[f"series/{name}"] = np.zeros(len(fields))
        for name in BALANCE:
            file[f"balance/{name}"] = np.zeros(0)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(name: str, folder: Path, fields: list[np.ndarray]) -> dict[str, float | None]:
    """Run an analysis and return its numbers."""
    history = write_history(folder / "history.h5", fields)
    assert main([name, str(history)], {}) == 0
    numbers: dict[str, float | None] = json.loads((folder / "metrics.json").read_text())
    return numbers


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_analysis_that_is_offered_is_made_by_the_program() -> None:
    """What the entry points describe reads as a section of a sweep file, and names a maker."""
    offered = {name: installed(name, content) for name, content in per_result().items()}
    assert set(MAKERS) <= set(offered)
    for name in MAKERS:
        assert offered[name].program.command[:4] == ("python", "-m", "hsm.physics.analyses", name)
        assert offered[name].artifact == ARTIFACT


def test_quantules_are_a_table_of_lumps_and_vortices(folder: Path) -> None:
    """A lattice has four vortices that are neutral together, and lumps between them."""
    numbers = make("quantules", folder, [lattice(3.2)])
    table = rows(folder / "results" / "quantule_events.csv")
    assert numbers["vortices"] == 4
    assert numbers["net_charge"] == 0
    assert sorted(row["charge"] for row in table if row["type"] == "vortex") == ["-1", "-1", "1", "1"]
    assert numbers["blobs"] == sum(row["type"] == "blob" for row in table)


def test_homology_of_a_torus_is_drawn_and_tabled(folder: Path) -> None:
    """The essential features of two dimensions are 1, 2 and 1; the diagram is a picture."""
    make("homology", folder, [lattice(0.4)])
    table = rows(folder / "results" / "persistence.csv")
    essential = [row["dimension"] for row in table if not row["death"]]
    assert sorted(essential) == ["0", "1", "1", "2"]
    with Image.open(folder / "results" / "persistence.png") as picture:
        assert picture.size[0] > 400


def test_a_scripted_motion_is_tracked_with_its_charges(folder: Path) -> None:
    """Four cores that drift alike are four tracks from first to last, as long as the way they went."""
    steps = [0.1 * step for step in range(21)]
    numbers = make("vortex-tracks", folder, [lattice(shift) for shift in steps])
    table = rows(folder / "results" / "vortex_tracks.csv")
    assert numbers == {"tracks": 4, "most_at_once": 4, "mean_lifetime": 10.0, "births": 0, "deaths": 0}
    assert sorted(row["charge"] for row in table) == ["-1", "-1", "1", "1"]
    for row in table:
        assert float(row["path_length"]) == pytest.approx(steps[-1], abs=0.1 * SPACING)
        moved = (float(row["last_x"]) - float(row["first_x"]) + made.L / 2) % made.L - made.L / 2
        assert moved == pytest.approx(steps[-1], abs=0.05 * SPACING)


def test_a_core_that_ends_has_no_charge(folder: Path) -> None:
    """What is not in the last field cannot be told apart by its density."""
    numbers = make("vortex-tracks", folder, [lattice(0.0), lattice(0.1), np.ones((made.N, made.N), complex)])
    table = rows(folder / "results" / "vortex_tracks.csv")
    assert (numbers["tracks"], numbers["deaths"]) == (4, 4)
    assert {row["charge"] for row in table} == {""}


def test_a_fingerprint_shows_the_shell_that_was_planted(folder: Path) -> None:
    """A ring in the spectrum is the strongest peak, at its k; page and table have it."""
    shell = 11
    noise = made.gaussian_field(3, np.exp(-made.k_squared() / 200))
    ring = np.cos(tau * shell * made.X / made.N)
    numbers = make("fingerprint", folder, [1.0 + 0.05 * noise + 0.1 * ring])
    assert numbers["strongest_k"] == pytest.approx(tau * shell / made.L, rel=0.02)
    table = rows(folder / "results" / "fingerprint.csv")
    assert table[shell - 1]["peak"] == "1"
    assert "data:image/png;base64," in (folder / "results" / "fingerprint.html").read_text()


def test_the_top_of_a_fall_is_no_strongest_peak(folder: Path) -> None:
    """Where no background is known, a peak is in the table, but is not told as the strongest."""
    second = np.cos(tau * 2 * made.X / made.N)
    numbers = make(
        "fingerprint", folder, [2.0 + second + 0.5 * made.gaussian_field(3, np.exp(-made.k_squared() / 4))]
    )
    assert numbers["peaks"] == 1
    assert numbers["strongest_k"] is None
    assert rows(folder / "results" / "fingerprint.csv")[1]["peak"] == "1"


def test_all_of_them_in_one_process_make_what_each_makes(folder: Path) -> None:
    """Files and numbers are those of the single ones; what one lacks is said, and the others are made."""
    fields = [lattice(0.1), lattice(0.2)]
    every: dict[str, float | None] = {}
    for name in PARTS:
        every |= make(name, folder, fields)
    alone = {path.name: path.read_bytes() for path in (folder / "results").iterdir()}
    for name in alone:
        (folder / "results" / name).unlink()
    assert make("physics-all", folder, fields) == every
    assert {path.name: path.read_bytes() for path in (folder / "results").iterdir()} == alone
    numbers = make("physics-all", folder, [np.exp(2j * pi * np.arange(64) / 64)])
    assert "quantules: " in str(numbers["reason"])
    assert numbers["legacy_bssn_residual"] == pytest.approx(1.0, abs=1e-6)


def test_the_legacy_residual_is_what_it_was_and_no_constraint() -> None:
    """Of a parabola it is exact; of a uniform density, which satisfies any constraint, it is that density."""
    x = np.arange(24.0)
    parabola = np.broadcast_to(x[:, None] ** 2, (24, 24)).copy()
    inner = residual(parabola[:, :])
    ends = np.gradient(np.gradient(x**2))
    assert inner == pytest.approx(np.sqrt(np.mean((x**2 + ends) ** 2)))
    assert residual(np.full((8, 8), 0.7)) == pytest.approx(0.7)


@pytest.mark.parametrize("name", ["quantules", "vortex-tracks"])
def test_what_one_dimension_lacks_is_null_with_a_reason(name: str, folder: Path) -> None:
    """Nothing fails: there is just nothing to be made."""
    numbers = make(name, folder, [np.exp(2j * pi * np.arange(64) / 64)])
    assert list(numbers) == ["reason"]
    assert "dimension" in str(numbers["reason"])


def test_a_file_that_is_no_history_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says that the input is at fault, and stderr which file and why."""
    (folder / "no.h5").write_text("no")
    whole = write_history(folder / "whole.h5", [lattice(0.3)]).read_bytes()
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with h5py.File(write_history(folder / "old.h5", [lattice(0.3)]), "r+") as file:
        file.attrs["schema"] = "hsm.physics.rho_history/3"
    for name, why in {
        "no.h5": "no.h5 is no HDF5 file",
        "missing.h5": "there is no file ",
        "cut.h5": "cut.h5 cannot be read: ",
        "old.h5": "old.h5 cannot be read: it is of schema hsm.physics.rho_history/3, not ",
    }.items():
        assert main(["quantules", str(folder / name)], {}) == 2
        assert why in capsys.readouterr().err


@pytest.mark.parametrize("name", ["quantules", "homology"])
def test_without_gudhi_the_fix_is_told(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The extra that brings it is named, and the exit code is one of its own."""
    monkeypatch.setitem(sys.modules, "gudhi", None)
    history = write_history(folder / "history.h5", [lattice(0.3)])
    assert main([name, str(history)], {}) == 3
    assert "pip install 'hsm[topology]'" in capsys.readouterr().err
    assert not (folder / "metrics.json").exists()


def test_an_analysis_needs_no_jax() -> None:
    """Who reads a history need not wait for what makes one."""
    import subprocess

    code = (
        "import sys, hsm.physics.analyses.program as p; [m for m in p.MAKERS]; sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
