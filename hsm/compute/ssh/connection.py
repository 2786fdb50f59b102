"""Connections made by asyncssh: one to each host, through its jump hosts, strict about keys, never asking."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import asyncssh

from hsm.compute.link import LinkLost
from hsm.compute.ssh import host_keys
from hsm.compute.ssh.channels import WINDOW_BYTES, SshChannel
from hsm.compute.ssh.faults import (
    HostKeyRefused,
    HostUnknown,
    HostUnreachable,
    LoginRefused,
    SshConfigRefused,
    told,
)
from hsm.compute.ssh.reach import Connection, Reach
from hsm.compute.ssh.settings import SshSettings
from hsm.compute.ssh.shell import LEAVE_S, MAX_CHANNELS, Channel, ShellConnection
from hsm.core.errors import SourceError
from hsm.core.world import World

CONNECT_S = 20.0
"""So long may the way to one host, and logging in there, take."""

KEEPALIVE_S = 10.0
KEEPALIVE_COUNT = 3
"""A link on which nothing comes for one more interval than this is dead: 40 s."""

QUICK_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""Before the others, unless the configuration says what to take: here they cost half as much as ChaCha20."""

MAX_JUMPS = 8
CHANNEL_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
SYSTEM_CONFIG = "/etc/ssh/ssh_config"
SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
SECOND_FACTOR = (
    "try `ssh {target} true`: a key must suffice, in a file or in ssh-agent; where a password or a second "
    "factor is asked for, use the option `transport: openssh`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient a connection is, unless ssh_config says more (`ConnectTimeout`) or less.

    `ServerAliveInterval` counts where it is shorter, so that a dead link is noticed in time in any case.
    """

    connect_s: float = CONNECT_S
    keepalive_s: float = KEEPALIVE_S


class SshReach(Reach):
    """A host that is reached by asyncssh. One that has refused us is not asked again."""

    def __init__(self, world: World, settings: SshSettings, timing: Timing | None = None) -> None:
        self.name = settings.source
        self._world = world
        self._settings = settings
        self._timing = timing or Timing()
        self._refused: LoginRefused | HostKeyRefused | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """Connect, and stay connected in the context.

        Raises:
            SourceError: as in `Reach`.
        """
        if self._refused is not None:
            raise self._refused
        async with AsyncExitStack() as stack:
            dialler = _Dialler(self._world, self._settings, self._timing, stack)
            try:
                made = await dialler.dial(self._settings.host, self._settings.user)
            except (LoginRefused, HostKeyRefused) as error:
                self._refused = error
                raise
            connection = SshConnection(self._world, self._settings, made)
            await connection.prepare()
            yield connection


class SshConnection(ShellConnection):
    """One connection of asyncssh."""

    def __init__(self, world: World, settings: SshSettings, made: asyncssh.SSHClientConnection) -> None:
        super().__init__(world, settings)
        self._made = made
        self._channels = asyncio.Semaphore(MAX_CHANNELS)
        self._rng = world.rng("hsm.channels.v1", world.token())

    @property
    def cipher(self) -> str:
        """By what cipher the host sends."""
        return str(self._made.get_extra_info("recv_cipher"))

    @asynccontextmanager
    async def _open(self, command: str) -> AsyncIterator[Channel]:
        async with self._channels:
            channel = await self._channel(command)
            try:
                yield channel
            finally:
                await channel.leave(LEAVE_S)

    async def _channel(self, command: str) -> SshChannel:
        """Open a channel; one that is not granted is asked for again, for others may just be closing."""
        for pause_s in (*CHANNEL_PAUSES_S, None):
            try:
                return await self._session(command)
            except asyncssh.ChannelOpenError as error:
                if pause_s is None or self._made.is_closed():
                    raise self._ungranted(error) from error
                await self._world.sleep(pause_s * self._rng.uniform(0.5, 1.5))
            except (asyncssh.Error, OSError) as error:
                raise LinkLost(self._name, f"the link was cut: {told(str(error))}", transient=True) from error
        raise AssertionError("the last try returns or raises")

    async def _session(self, command: str) -> SshChannel:
        channel = SshChannel()
        await self._made.create_session(
            lambda: channel,
            command,
            encoding=None,
            request_pty=False,
            x11_forwarding=False,
            window=WINDOW_BYTES,
        )
        return channel

    def _ungranted(self, error: asyncssh.ChannelOpenError) -> LinkLost:
        if self._made.is_closed():
            return LinkLost(self._name, "the link was cut", transient=True)
        reason = f"it grants no more channels: {told(error.reason)}"
        hint = "HSM needs three at a time: raise MaxSessions in the host's sshd_config"
        return LinkLost(self._name, reason, hint=hint, transient=True)


class _Owner(asyncssh.SSHClient):
    """Hears what a server says before anybody is logged in."""

    def __init__(self) -> None:
        self.shown: host_keys.ShownKey | None = None
        self.banner = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Trust no key that is not in a known_hosts file, but remember it for the error."""
        self.shown = host_keys.ShownKey(host=host, address=addr, port=port, key=key)
        return False

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """Keep what the server wants to be shown; it is shown by nobody before it is escaped."""
        self.banner = (self.banner + msg)[:4096]


@dataclass(slots=True)
class _Dialler:
    """Makes the connections on the way to one host; the stack closes them, the last one first."""

    world: World
    settings: SshSettings
    timing: Timing
    stack: AsyncExitStack
    dialled: list[str] = field(default_factory=list)

    async def dial(
        self,
        host: str,
        user: str | None,
        port: int | None = None,
        via: asyncssh.SSHClientConnection | None = None,
    ) -> asyncssh.SSHClientConnection:
        """Connect to a host, first to those that its configuration names as jump hosts.

        Raises:
            SourceError: there is no way there, or no entrance.
        """
        self.dialled.append(host)
        if len(self.dialled) > MAX_JUMPS:
            hosts = ", ".join(map(told, self.dialled))
            raise SshConfigRefused(self._source, f"more than {MAX_JUMPS} jump hosts: {hosts}")
        options = await self._options(host, user, port)
        if via is None and isinstance(options.tunnel, str):
            for jump in options.tunnel.split(","):
                via = await self._jump(jump, via)
        owner = _Owner()
        made = await self._connect(host, options, owner, via)
        self.stack.push_async_callback(_close, made)
        return made

    async def _jump(
        self, word: str, via: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        user, _, place = word.strip().removeprefix("ssh://").rpartition("@")
        host, colon, port = place.rpartition(":")
        if not colon or not port.isdecimal():
            host, port = place, ""
        host = host.removeprefix("[").removesuffix("]")
        return await self.dial(host, user or None, int(port) if port else None, via)

    @property
    def _source(self) -> str:
        return self.settings.source

    async def _options(
        self, host: str, user: str | None, port: int | None
    ) -> asyncssh.SSHClientConnectionOptions:
        """Return what the configuration says of a host, less what is not safe."""
        try:
            options = await self.world.blocking(self._read, host, user, port)
        except (ValueError, OSError, RecursionError, asyncssh.Error) as error:
            why = "its files include each other" if isinstance(error, RecursionError) else told(str(error))
            reason = f"the configuration for {told(host)} cannot be used: {why}"
            raise SshConfigRefused(self._source, reason) from error
        if options.known_hosts is None:
            hint = "name a file instead: keys are always checked"
            reason = f"the configuration for {told(host)} says `UserKnownHostsFile none`"
            raise SshConfigRefused(self._source, reason, hint=hint)
        if options.proxy_command and not self.settings.allow_proxy_command:
            hint = "say ProxyJump instead, or allow it by the option `allow_proxy_command: true`"
            reason = f"the configuration for {told(host)} has a ProxyCommand, which runs a program here"
            raise SshConfigRefused(self._source, reason, hint=hint)
        return options

    def _read(self, host: str, user: str | None, port: int | None) -> asyncssh.SSHClientConnectionOptions:
        given: dict[str, Any] = {}
        if user is not None:
            given["username"] = user
        if port is not None:
            given["port"] = port
        config = self._config_files()
        plain = asyncssh.SSHClientConnectionOptions(host=host, config=config, client_keys=None, **given)
        named = plain.config.get("IdentityFile", ())
        if isinstance(named, list) and named:  # a file that is not there is passed over, as OpenSSH does
            given["client_keys"] = [path for path in named if self.world.files.is_file(self._at_home(path))]
            given["ignore_encrypted"] = True  # ssh-agent may hold what is in it
        if plain.config.get("Ciphers") is None:
            given["encryption_algs"] = QUICK_CIPHERS
        connect_s = _seconds(plain.config.get("ConnectTimeout")) or self.timing.connect_s
        keepalive_s = _seconds(plain.config.get("ServerAliveInterval")) or self.timing.keepalive_s
        return asyncssh.SSHClientConnectionOptions(
            host=host,
            config=config,
            agent_forwarding=False,
            password_auth=False,
            kbdint_auth=False,
            connect_timeout=connect_s,
            login_timeout=connect_s,
            keepalive_interval=min(keepalive_s, self.timing.keepalive_s),
            keepalive_count_max=KEEPALIVE_COUNT,
            **given,
        )

    def _config_files(self) -> list[str]:
        files = self.world.files
        if self.settings.config is not None:
            return [str(self.settings.config)]  # where it is not there, that is an error
        usual = (f"{self._home}/.ssh/config", SYSTEM_CONFIG)
        return [path for path in usual if files.is_file(path)]

    @property
    def _home(self) -> str:
        return self.world.environment().get("HOME", "")

    def _at_home(self, path: str) -> str:
        return f"{self._home}{path[1:]}" if path.startswith("~/") else path

    def _known_hosts(self, options: asyncssh.SSHClientConnectionOptions) -> tuple[list[str], str]:
        """Return the known_hosts files that are there, and the one to which keys are added."""
        own = f"{self._home}/.ssh/known_hosts"
        named = options.known_hosts if isinstance(options.known_hosts, list) else []
        wanted = [str(path) for path in named] or [own, SYSTEM_KNOWN_HOSTS]
        wanted = [self._at_home(path) for path in wanted]
        return [path for path in wanted if self.world.files.is_file(path)], wanted[0]

    async def _connect(
        self,
        host: str,
        options: asyncssh.SSHClientConnectionOptions,
        owner: _Owner,
        via: asyncssh.SSHClientConnection | None,
    ) -> asyncssh.SSHClientConnection:
        files, default = self._known_hosts(options)
        try:
            return await asyncssh.connect(
                host,
                options=options,
                tunnel=via,
                client_factory=lambda: owner,
                known_hosts=files or b"",
            )
        except asyncssh.HostKeyNotVerifiable as error:
            if owner.shown is None:
                raise HostKeyRefused(self._source, told(error.reason)) from error
            shown = replace(owner.shown, port=host_keys.SSH_PORT) if options.host_key_alias else owner.shown
            raise host_keys.refused(self._source, shown, files, default, error.reason) from error
        except asyncssh.PermissionDenied as error:
            raise self._locked_out(host, owner, error) from error
        except (asyncssh.Error, OSError, ValueError) as error:
            raise self._fault(host, error, float(options.connect_timeout or 0)) from error

    def _locked_out(self, host: str, owner: _Owner, error: asyncssh.PermissionDenied) -> LoginRefused:
        """Return the error of a refused login, with what the server wanted to be read before."""
        says = f"; it says: {told(owner.banner)}" if owner.banner.strip() else ""
        reason = f"{told(host)} refuses the login: {told(error.reason)}{says}"
        hint = SECOND_FACTOR.format(target=told(self.settings.target))
        return LoginRefused(self._source, reason, hint=hint)

    def _fault(self, host: str, error: Exception, limit_s: float) -> SourceError:
        """Return what it means that a host cannot be reached, which was tried for so long at most."""
        where, said, source = told(host), told(str(error)), self._source
        match error:
            case asyncssh.KeyExchangeFailed() | asyncssh.ProtocolNotSupported():
                hint = "a changed host key looks like this, too, where its kind has changed"
                return HostKeyRefused(source, f"no common way to speak with {where}: {said}", hint=hint)
            case TimeoutError():
                hint = "is it up, and does this network let you there?"
                return HostUnreachable(source, f"no answer from {where} within {limit_s:g} s", hint=hint)
            case ConnectionRefusedError():
                hint = "is sshd running there, and is the port right?"
                return HostUnreachable(source, f"{where} refuses connections", hint=hint)
            case socket.gaierror():
                hint = f"is {where} a host, or an alias in ~/.ssh/config?"
                return HostUnknown(
                    source, f"there is no host {where}: {told(error.strerror or said)}", hint=hint
                )
            case asyncssh.Error() | OSError():
                return HostUnreachable(source, f"no connection to {where}: {said or type(error).__name__}")
            case _:
                return SshConfigRefused(source, f"the configuration for {where} cannot be used: {said}")


def _seconds(said: object) -> float:
    """Return a time of the configuration, 0 where it has none."""
    return float(said) if isinstance(said, int | float) else 0.0


async def _close(made: asyncssh.SSHClientConnection) -> None:
    """Close a connection, not waiting long for a host that no longer answers."""
    made.close()
    try:
        async with asyncio.timeout(LEAVE_S):
            await made.wait_closed()
    except TimeoutError:
        made.abort()
