"""`hsm source check ssh:HOST` as it is typed, against real sshd: what passes, what fails, what is kept."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_project import Project
from tests.lab.sshd import Host, Lab, Sshd
from tests.lab.wire import Wire

pytestmark = pytest.mark.integration

ALL = [
    *("configuration", "name", "connection", "host key", "login", "shell", "directory", "python"),
    *("files", "space", "inodes", "clock", "slots", "gpus", "latency", "bandwidth", "channels", "jax"),
]


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path, ssh_lab: Lab) -> Project:
    """Return a project of a user who has checked nothing yet."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "hsm.yaml").write_text("sources: {ssh:alpha: {slots: 2}}\n")
    environment = {"HSM_SSH_CONFIG": str(ssh_lab.ssh_config), "XDG_STATE_HOME": str(tmp_path / "state")}
    return Project(root=root, hsm=hsm_command, environment=environment)


def check(project: Project, name: str, code: int) -> dict[str, dict[str, Any]]:
    """Check a source, and return the checks by name."""
    answer = project.run("source", "check", name, "--json", code=code)
    assert answer.kind == "source.health"
    return {check["name"]: check for check in answer.data["checks"]}


def listed(project: Project, name: str) -> Any:
    """Return what the list of sources says of the last check of one."""
    (found,) = [
        source for source in project.run("source", "list", "--json").data["sources"] if source["name"] == name
    ]
    return found["checked"]


def test_a_good_host_passes_every_check(project: Project, ssh_host: Host) -> None:
    """In their order; nothing but HSM's directory is left there."""
    assert listed(project, "ssh:alpha") is None
    checks = check(project, "ssh:alpha", 0)
    assert list(checks) == ALL
    assert {found["health"] for found in checks.values()} <= {"pass", "warn"}
    assert {name for name, found in checks.items() if found["health"] == "warn"} <= {"bandwidth", "space"}
    assert [path.name for path in ssh_host.home.iterdir()] == [".hsm"]
    assert [path.name for path in (ssh_host.home / ".hsm").iterdir()] == ["agents"]
    assert listed(project, "ssh:alpha")["health"] in ("pass", "warn")
    assert ssh_host.running() == []


def test_what_fails_comes_with_its_fix_and_is_told_where_the_source_is_used(
    project: Project, ssh_lab: Lab, ssh_host: Host
) -> None:
    """By the list, by the doctor and by a run; after a better check, by none of them."""
    before = ssh_lab.known_hosts.read_text()
    ssh_lab.known_hosts.write_text("")
    checks = check(project, "ssh:alpha", 1)
    assert list(checks) == ["configuration", "name", "connection", "host key"]
    assert "is not known: ssh-ed25519 SHA256:" in checks["host key"]["detail"]
    assert "printf" in checks["host key"]["hint"]
    assert listed(project, "ssh:alpha")["health"] == "fail"
    assert "host key failed" in project.run("source", "list").out
    assert "host key: the key of" in project.run("doctor", code=None).out
    project.sweep("heat", ["a"], extra="sources: [ssh:alpha]\n")
    said = project.run("sweep", "run", "heat.yaml", code=None).err
    assert "warning: ssh:alpha failed its check" in said
    for words in (
        ["sweep", "complete", "last"],
        ["sweep", "cancel", "last"],
        ["source", "clean", "ssh:alpha"],
    ):
        assert "warning: ssh:alpha failed its check" in project.run(*words, code=None).err, words
    ssh_lab.known_hosts.write_text(before)
    check(project, "ssh:alpha", 0)
    assert "failed" not in project.run("source", "list").out
    assert "checked" in project.run("doctor", code=None).out


def test_a_source_that_is_set_up_otherwise_counts_as_unchecked(project: Project, ssh_host: Host) -> None:
    """For what was found may not hold for it."""
    check(project, "ssh:alpha", 0)
    assert listed(project, "ssh:alpha")
    (project.root / "hsm.yaml").write_text("sources: {ssh:alpha: {options: {root: /tmp/elsewhere}}}\n")
    assert listed(project, "ssh:alpha") is None


def test_the_step_that_failed_is_named(
    project: Project, ssh_lab: Lab, ssh_host: Host, tmp_path: Path
) -> None:
    """Each by its name, those before it having passed."""
    assert list(check(project, "ssh:nowhere.invalid", 1))[-1] == "name"
    (ssh_host.home / ".bash_profile").write_text("exit 3\n")
    assert list(check(project, "ssh:alpha", 1))[-1] == "shell"
    (tmp_path / "empty").mkdir()
    (ssh_host.home / ".bash_profile").write_text(f'PATH={tmp_path}/empty; mkdir() {{ /bin/mkdir "$@"; }}\n')
    assert list(check(project, "ssh:alpha", 1))[-1] == "python"
    (ssh_host.home / ".bash_profile").unlink()
    (ssh_host.home / ".hsm").rmdir()
    (ssh_host.home / ".hsm").touch()
    assert list(check(project, "ssh:alpha", 1))[-1] == "directory"
    config = ssh_lab.ssh_config.read_text()
    ssh_lab.ssh_config.write_text(config.replace(str(ssh_lab.user_key), str(ssh_lab.refused_key)))
    assert list(check(project, "ssh:alpha", 1))[-1] == "login"
    ssh_host.stop()
    assert list(check(project, "ssh:alpha", 1))[-1] == "connection"
    ssh_lab.ssh_config.write_text("Port many\n")
    assert list(check(project, "ssh:alpha", 1))[-1] == "configuration"


def test_where_nobody_is_logged_in_nothing_else_is_claimed(project: Project, ssh_host: Host) -> None:
    """Nothing was dialled, so nothing of the way there is known; the fix is the command that logs in."""
    (project.root / "hsm.yaml").write_text("sources: {ssh:alpha: {options: {transport: openssh}}}\n")
    checks = check(project, "ssh:alpha", 1)
    assert list(checks) == ["configuration", "login"]
    assert " -M -f -N " in checks["login"]["hint"]
    assert "Connection from" not in ssh_host.log.read_text()


def test_a_clock_that_is_five_minutes_off_is_a_warning(
    project: Project, ssh_host: Host, tmp_path: Path
) -> None:
    """It costs nothing but true times."""
    python = late_python(tmp_path / "late", -300)
    options = f"{{python: {python}}}"
    (project.root / "hsm.yaml").write_text(f"sources: {{ssh:alpha: {{options: {options}}}}}\n")
    clock = check(project, "ssh:alpha", 0)["clock"]
    assert clock["health"] == "warn"
    assert "300 s behind" in clock["detail"] or "299 s behind" in clock["detail"]


def test_a_slow_line_is_measured(project: Project, ssh_host: Host, wire: Callable[[Host], Wire]) -> None:
    """In round trips and in bytes."""
    line = wire(ssh_host)
    line.set_delay(0.2)
    line.to_client.bytes_per_s = 800_000
    checks = check(project, "ssh:alpha-wire", 0)
    assert 0.2 <= float(checks["latency"]["detail"].split()[0]) / 1e3 < 0.6
    assert checks["bandwidth"]["health"] == "warn"


def test_a_host_of_one_channel_fails(project: Project, ssh_lab: Lab) -> None:
    """MaxSessions 1: the logs and the files need one each."""
    ssh_lab.host("narrow", Sshd(max_sessions=1))
    found = check(project, "ssh:narrow", 1)["link"]
    assert "grants no more channels" in found["detail"]
    assert "MaxSessions" in found["hint"]


def test_what_a_host_prints_never_reaches_the_terminal_raw(
    project: Project, ssh_lab: Lab, tmp_path: Path
) -> None:
    """Neither its banner, nor its startup files, nor its errors: no title is set, nothing is cleared."""
    banner = tmp_path / "banner"
    evil = "\033]0;owned\007\033[2J\033]52;c;b3duZWQ=\007\u202e\x9b31m\033]8;;http://x\033\\\\link\033]8;;\033\\\\\x7f\n"
    banner.write_text(evil)
    host = ssh_lab.host("evil", Sshd(extra=(f"Banner {banner}",)))
    for name in (".bashrc", ".bash_profile"):
        (host.home / name).write_text(f"cat {banner}; cat {banner} >&2\n")
    (host.home / ".bash_logout").write_text(f"cat {banner}\n")
    for code in (0, 1):
        answers = [project.run("source", "check", "ssh:evil", *more, code=code) for more in ([], ["--json"])]
        for answer in (*answers, project.run("source", "list")):
            assert not set(answer.out + answer.err) & set("\x1b\x07\x7f\x9b\u202e")
        assert all("owned" in answer.out for answer in answers)
        (host.home / ".bash_profile").write_text(f"cat {banner}; cat {banner} >&2; exit 1\n")


def late_python(folder: Path, offset_s: float) -> Path:
    """Return an interpreter whose clock is off."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "late.py").write_text(
        f"import time\n_time = time.time\ntime.time = lambda: _time() + {offset_s}\n"
    )
    (site / "late.pth").write_text("import late\n")
    return folder / "bin/python"


@pytest.mark.parametrize(
    "host",
    [
        "-oProxyCommand=touch canary",
        "me@alpha;touch canary",
        "[::1%25eth0]",
        "alpha\n-oProxyCommand=touch canary",
    ],
)
def test_a_hostile_name_of_a_host_is_a_wrong_word_and_nothing_else(project: Project, host: str) -> None:
    """It is refused before anything is dialled or started, by both ways to connect."""
    project.run("source", "check", f"ssh:{host}", code=2)
    sources = {f"ssh:{host}": {"options": {"transport": "openssh"}}}
    (project.root / "hsm.yaml").write_text(json.dumps({"sources": sources}))
    project.run("source", "list", code=2)
    assert not list(project.root.rglob("canary"))


def test_the_report_is_kept_for_the_user_alone(project: Project, ssh_host: Host, tmp_path: Path) -> None:
    """One file for each source, whole, in the user's state."""
    check(project, "ssh:alpha", 0)
    check(project, "ssh:alpha", 0)
    (kept,) = (tmp_path / "state/hsm/checks").iterdir()
    assert json.loads(kept.read_text())["report"]["source"] == "ssh:alpha"
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert kept.stat().st_uid == os.geteuid()
