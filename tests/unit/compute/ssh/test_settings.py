"""The options of an SSH source: read once, and every fault told at once."""

from pathlib import Path
from typing import Any

import pytest

from hsm.compute.ssh.scripts import USUAL_PYTHONS
from hsm.compute.ssh.settings import SshSettings, Transport, read_settings
from hsm.core.errors import ConfigError
from hsm.core.spec import EnvironmentSpec, SourceSpec

PROJECT = Path("/project")


def read(target: str = "alpha", environment: dict[str, str] | None = None, **options: Any) -> SshSettings:
    """Read the settings of a source."""
    spec = SourceSpec(kind="ssh", target=target, options=options)
    return read_settings(spec, PROJECT, environment or {})


def test_nothing_need_be_set() -> None:
    """The defaults are those of the documents."""
    settings = read()
    assert settings == SshSettings(source="ssh:alpha", user=None, host="alpha")
    assert (settings.transport, settings.root, settings.pythons) == (
        Transport.ASYNCSSH,
        "~/.hsm",
        USUAL_PYTHONS,
    )


@pytest.mark.parametrize(
    ("target", "user", "host"),
    [("alpha", None, "alpha"), ("me@alpha.example", "me", "alpha.example"), ("[::1]", None, "::1")],
)
def test_a_target_is_a_host_and_perhaps_a_user(target: str, user: str | None, host: str) -> None:
    """An IPv6 address stands in brackets."""
    settings = read(target)
    assert (settings.user, settings.host) == (user, host)


@pytest.mark.parametrize("target", ["-oProxyCommand=touch canary", "alpha -p 22", "", "me@-x", "a\nb"])
def test_a_target_that_is_no_host_is_refused(target: str) -> None:
    """Whoever made the source: nothing of it may become an option or a word of a command line."""
    with pytest.raises(ConfigError, match="is not a host"):
        read(target)


def test_every_option_that_cannot_be_used_is_told() -> None:
    """All at once, each with its place."""
    with pytest.raises(ConfigError) as caught:
        read(transport="telnet", root="here", python=3, allow_proxy_command="yes", ssh_config="\x1b")
    assert [problem.where.rpartition(".")[2] for problem in caught.value.problems] == [
        "transport",
        "root",
        "allow_proxy_command",
        "ssh_config",
        "python",
    ]


@pytest.mark.parametrize(
    ("environment", "options", "config"),
    [
        ({}, {}, None),
        ({}, {"ssh_config": "conf/ssh"}, PROJECT / "conf/ssh"),
        ({"HOME": "/home/me"}, {"ssh_config": "~/ssh"}, Path("/home/me/ssh")),
        ({"HSM_SSH_CONFIG": "/other"}, {"ssh_config": "conf/ssh"}, Path("/other")),
    ],
)
def test_another_configuration_may_be_named(
    environment: dict[str, str], options: dict[str, str], config: Path | None
) -> None:
    """By the variable, which is stronger, or by the option, relative to the project."""
    assert read(environment=environment, **options).config == config


def test_the_interpreter_that_is_named_stands_alone() -> None:
    """While that of the environment comes last."""
    assert read(python="/opt/python").pythons == ("/opt/python",)
    environment = EnvironmentSpec(prefix="/venv", python="python3.12")
    spec = SourceSpec(kind="ssh", target="alpha", environment=environment)
    assert read_settings(spec, PROJECT, {}).pythons == (*USUAL_PYTHONS, "/venv/bin/python", "python3.12")
