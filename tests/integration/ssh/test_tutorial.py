"""The tutorial that needs a host, typed against one."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.integration.documents import blocks, script
from tests.lab.sshd import Lab

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "tutorials" / "add-a-workstation.md"

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.timeout(300)
def test_the_commands_of_the_page_work(tmp_path: Path, ssh_lab: Lab) -> None:
    """Every block, typed in order in a new folder, ends with status 0, and nothing is left on the host."""
    host = ssh_lab.host("workstation")
    project, tools = tmp_path / "project", tmp_path / "tools"
    for folder in (project, tools):
        folder.mkdir()
    ssh = tools / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {ssh_lab.ssh_config} "$@"\n')
    ssh.chmod(0o755)
    path = f"{tools}{os.pathsep}{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    progress = tmp_path / "line"
    done = subprocess.run(
        ["bash", "-c", script(blocks(PAGE.read_text("utf-8")), progress)],
        cwd=project,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "HSM_SSH_CONFIG": str(ssh_lab.ssh_config)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{PAGE.name}:{progress.read_text()}\n{done.stdout}"
    assert not (host.home / ".hsm").exists()
