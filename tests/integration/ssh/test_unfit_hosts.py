"""Whole sweeps on hosts that let nobody in, change, lie or are odd: others go on, and the user is told."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from hsm.wire.files import Files
from hsm.wire.log import LogReader, LogWriter
from hsm.wire.messages import Ended, to_record
from tests.integration.ssh.sweeping import LIMIT_S, Make, Sweeping, agents
from tests.integration.ssh.test_connection import only, perform, programs
from tests.integration.ssh.test_source_check import late_python
from tests.lab.sshd import Host, Lab, Sshd

pytestmark = pytest.mark.integration

NOISE = "echo welcome; echo warning >&2; printf '\\033]0;owned\\007\\033[2J@@hsm-link 0'\n"


def reason(sweep: Sweeping) -> str:
    """Return why a source was given up in a sweep."""
    (failed,) = (event for event in sweep.events("source_failed") if not event.get("paused"))
    return str(failed["reason"])


class TestClosed:
    """Hosts that let nobody in: what they cannot do is done here, and they are asked once."""

    def test_a_host_that_refuses_the_login_is_asked_once(
        self, sweeping: Make, ssh_lab: Lab, ssh_host: Host
    ) -> None:
        """A wrong key: a host that bans after some failures sees one."""
        config = ssh_lab.ssh_config.read_text().replace(str(ssh_lab.user_key), str(ssh_lab.refused_key))
        ssh_lab.ssh_config.write_text(config)
        sweep = sweeping(3)
        said = elsewhere(sweep)
        assert "alpha refuses the login" in reason(sweep)
        assert "alpha refuses the login" in said
        assert ssh_host.log.read_text().count("Connection from") == 1

    def test_a_host_whose_key_is_not_known_gets_nothing(
        self, sweeping: Make, ssh_lab: Lab, ssh_host: Host
    ) -> None:
        """The fingerprint, and the command that accepts it, are said."""
        ssh_lab.known_hosts.write_text("")
        sweep = sweeping(3)
        said = elsewhere(sweep)
        assert "is not known: ssh-ed25519 SHA256:" in reason(sweep)
        assert "printf" in said
        assert not (ssh_host.home / ".hsm").exists()

    def test_a_host_whose_python_is_too_old_is_told_with_its_version(
        self, sweeping: Make, ssh_lab: Lab, tmp_path: Path
    ) -> None:
        """Before anything is left there."""
        folder = programs(tmp_path)
        (folder / "python3").write_text("#!/bin/sh\necho version 3.6.15; echo executable /no; exit 1\n")
        (folder / "python3").chmod(0o755)
        only(ssh_lab.host("alpha"), folder)
        sweep = sweeping(3)
        elsewhere(sweep)
        assert "no Python 3.9 or newer" in reason(sweep)
        assert "python3 is 3.6.15" in reason(sweep)

    def test_a_key_that_changes_meanwhile_keeps_what_runs_there(
        self, sweeping: Make, ssh_lab: Lab, ssh_host: Host
    ) -> None:
        """Nothing is sent to the stranger; when the user has accepted the key, all of it comes home."""
        sweep = sweeping(6)
        manager = sweep.held(2, "ssh:alpha:2")
        ssh_host.rekey()
        said, _ = manager.communicate(timeout=LIMIT_S)
        assert manager.returncode == 3, said
        assert "has changed: it is ssh-ed25519" in said
        assert len(agents(ssh_host)) == 1
        accept = next(event["hint"] for event in sweep.events("source_failed") if not event.get("paused"))
        perform("sh", "-c", accept.partition("the same: ")[2])
        sweep.completed()
        sweep.check()

    def test_a_sweep_whose_only_host_lets_nobody_in_is_kept_whole_and_can_be_gone_on_with(
        self, sweeping: Make, ssh_lab: Lab, ssh_host: Host
    ) -> None:
        """The error says so with the command; what it names runs every task once, here."""
        known = ssh_lab.known_hosts.read_text()
        ssh_lab.known_hosts.write_text("")
        sweep = sweeping(3)
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:2")
        said, _ = manager.communicate(timeout=LIMIT_S)
        assert manager.returncode == 3
        assert (
            f"the sweep is kept as it is: when that is mended, `hsm sweep complete {sweep.tree.sweep_id}`"
            in said
        )
        assert sweep.status()["status"] == "partial"
        assert len(sweep.events("engine_stopped")) == 1
        ssh_lab.known_hosts.write_text(known)
        sweep.completed()
        assert len(sweep.events("source_opened")) == 1
        sweep.check()


class TestLiars:
    """Hosts that say what cannot be."""

    def test_a_record_that_cannot_be_costs_its_host_and_nobody_else(
        self, sweeping: Make, ssh_host: Host
    ) -> None:
        """Host and field are named, nothing of it is in the ledger, and the host's share is done here."""
        sweep = sweeping(6)
        manager = sweep.held(3, "local:1", "ssh:alpha:2")
        records = next((ssh_host.home / ".hsm" / "sweeps").glob("*/.hsm/agents/*/records"))
        token = next(event["token"] for event in sweep.events("attempt_intended") if "ssh" in event["source"])
        lie(records, {"t": "ended", "token": token, "wall_s": math.inf})
        sweep.proceed()  # then the agent has something to say, and its relay looks
        sweep.noted("source_failed")
        assert "it says what cannot be: a record is" in reason(sweep)
        manager.communicate(timeout=LIMIT_S)
        sweep.completed("--abandon-source", "ssh:alpha", "--source", "local:2")
        assert not sweep.events("attempt_failed")
        sweep.check(again=sweep.twice())

    def test_an_end_that_is_told_twice_and_differently_costs_its_host_and_no_task(
        self, sweeping: Make, ssh_host: Host
    ) -> None:
        """Neither of the two is believed; what had it runs again elsewhere once it is given up."""
        sweep = sweeping(4)
        manager = sweep.held(3, "local:1", "ssh:alpha:2")
        records = next((ssh_host.home / ".hsm" / "sweeps").glob("*/.hsm/agents/*/records"))
        token = next(event["token"] for event in sweep.events("attempt_intended") if "ssh" in event["source"])
        end = Ended(token, 0, None, 1.0, 2.0, 1.0, 0.5, 0.1, 4096, "ab" * 32, 1, 100, None, "")
        lie(records, to_record(end), to_record(end._replace(code=3, cause="application")))
        sweep.proceed()
        sweep.noted("source_failed")
        assert f"the end of attempt {token[:8]}, told before as another one, is exit code 3" in reason(sweep)
        manager.communicate(timeout=LIMIT_S)
        sweep.completed("--abandon-source", "ssh:alpha", "--source", "local:2")
        assert not sweep.events("attempt_failed")
        sweep.check(again=sweep.twice())


class TestOdd:
    """Hosts that are odd, and do."""

    def test_whatever_a_host_prints_a_sweep_is_not_disturbed(
        self, sweeping: Make, ssh_lab: Lab, tmp_path: Path
    ) -> None:
        """A banner, startup files and a logout file, with what looks like HSM's own words."""
        banner = tmp_path / "banner"
        banner.write_text("all is recorded\n\x1b[2J")
        host = ssh_lab.host("loud", Sshd(extra=(f"Banner {banner}",)))
        for name in (".bashrc", ".bash_profile", ".bash_logout", ".profile"):
            (host.home / name).write_text(NOISE)
        sweep = sweeping(4)
        said = sweep.finished(sweep.start("run", "s.yaml", "--source", "ssh:loud:2"))
        assert "\x1b]0;" not in said
        sweep.check()

    def test_a_clock_that_is_five_minutes_off_costs_nothing(
        self, sweeping: Make, ssh_host: Host, tmp_path: Path
    ) -> None:
        """How long a task took is measured by its host's own clock; nobody waits five minutes."""
        sweep = sweeping(4)
        python = late_python(tmp_path / "late", -300)
        options = f"{{options: {{python: {python}}}}}"
        (sweep.project / "hsm.yaml").write_text(f"sources: {{ssh:alpha: {options}}}\n")
        sweep.finished(sweep.start("run", "s.yaml", "--source", "ssh:alpha:2"))
        sweep.check()
        for event in sweep.events("attempt_exited"):
            assert 0 <= event["exit"]["wall_s"] < 60
            assert 0 <= event["at"] - event["started_at"] < 60

    def test_the_gpus_of_a_host_are_given_out_once_each(self, sweeping: Make, ssh_host: Host) -> None:
        """Those that its login leaves; no two tasks that run at a time have the same one."""
        (ssh_host.home / ".bash_profile").write_text("export CUDA_VISIBLE_DEVICES=1,3\n")
        sweep = sweeping(4, "resources: {gpus: 1}\n")
        (sweep.project / "work.py").write_text(GPU)
        sweep.finished(sweep.start("run", "s.yaml", "--source", "ssh:alpha:4"))
        used = [line.split() for line in (sweep.folder / "gpus").read_text().splitlines()]
        assert {gpu for _, gpu in used} == {"1", "3"}
        held: set[str] = set()
        for what, gpu in used:
            assert (gpu in held) == (what == "leave"), used
            held ^= {gpu}
        sweep.check()

    def test_names_of_four_thousand_bytes_are_left_there_and_told(
        self, sweeping: Make, ssh_host: Host
    ) -> None:
        """They can be no result, for no other machine could take them; the rest is."""
        sweep = sweeping(1)
        (sweep.project / "work.py").write_text(DEEP)
        sweep.finished(sweep.start("run", "s.yaml", "--source", "ssh:alpha:1"))
        sweep.check()
        (report,) = sweep.tree.tasks.glob("*/provenance.json")
        told: Any = json.loads(report.read_text())
        assert [entry["path"] for entry in told["artifacts"] if "deep" in entry["path"]] == []
        assert any("deep" in name for name in told["ignored"])


GPU = """
import os, sys, time
from pathlib import Path

folder, gpu = Path(sys.argv[1]), os.environ["CUDA_VISIBLE_DEVICES"]

def note(file, word):
    with (folder / file).open("a") as out:
        out.write(word + "\\n")

note("begun", f"{os.environ['HSM_TASK_ID']} 1 x")
note("gpus", f"take {gpu}")
time.sleep(0.2)
note("gpus", f"leave {gpu}")
Path("results/data").write_bytes(os.environ["HSM_TASK_ID"].encode() * 1000)
"""

DEEP = """
import os, sys
from pathlib import Path

with (Path(sys.argv[1]) / "begun").open("a") as file:
    file.write(f"{os.environ['HSM_TASK_ID']} 1 x\\n")
here = os.getcwd()
Path("results/data").write_bytes(os.environ["HSM_TASK_ID"].encode() * 1000)
os.chdir("results")
for _ in range(20):
    os.mkdir("deep" + "d" * 200)
    os.chdir("deep" + "d" * 200)
Path("file").write_text("x")
"""


def elsewhere(sweep: Sweeping) -> str:
    """Run a sweep on the host and here; it is done here, in the end well. Return what was said."""
    said = sweep.finished(sweep.start("run", "s.yaml", "--source", "ssh:alpha:2", "--source", "local:2"))
    sweep.check()
    return said


def lie(records: Path, *said: dict[str, Any]) -> None:
    """Have the agent's newest log say something, in a whole group, and its relay look at it."""
    path = max(records.iterdir())
    reader = LogReader(Files(), str(path))
    list(reader.records())
    log = LogWriter(Files(), str(path), Files().open_append(str(path)), reader.position)
    log.write([json.dumps(record).encode() for record in said])
    log.close()
