"""Clocks, randomness, processes and files come from the world object; some calls are for nobody."""

import ast
from collections.abc import Iterator

from tests.unit.house.source_tree import Module, imported_names, modules, references, report

WORLD = (
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
    "asyncio.sleep",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.exec*",
    "os.fork*",
    "os.getrandom",
    "os.popen",
    "os.posix_spawn*",
    "os.spawn*",
    "os.urandom",
    "random.*",
    "secrets.*",
    "subprocess.*",
    "time.localtime",
    "time.monotonic*",
    "time.perf_counter*",
    "time.sleep",
    "time.time*",
    "uuid.*",
)
# The files that may touch the world directly.
WORLD_PLACES = (
    "hsm/core/world.py",  # the world object itself
    "hsm/compute/agent/",  # a program of its own, on the other side of the log
    "hsm/sim/",  # the world of simulations: its time is virtual, its chance comes from the seed
    "hsm/physics/",  # a user's program: it measures its own wall time, and nothing of it is replayed
)
# "path": {name: why it is right there}.
EXCEPTIONS: dict[str, dict[str, str]] = {}

# What acts on the file system, or asks it something. What acts on a descriptor is in it where a descriptor
# of a file would come from nobody but `Files`.
FILES = (
    "fcntl.*",
    "glob.*",
    "hsm.wire.runtime.*",
    "io.open*",
    "os.access",
    "os.chdir",
    "os.chmod",
    "os.chown",
    "os.fchmod",
    "os.fdatasync",
    "os.fdopen",
    "os.fstat",
    "os.fsync",
    "os.ftruncate",
    "os.getcwd*",
    "os.lchown",
    "os.link",
    "os.listdir",
    "os.lseek",
    "os.lstat",
    "os.makedirs",
    "os.mkdir",
    "os.mkfifo",
    "os.mknod",
    "os.open",
    "os.path.abspath",
    "os.path.exists",
    "os.path.expanduser",
    "os.path.getatime",
    "os.path.getctime",
    "os.path.getmtime",
    "os.path.getsize",
    "os.path.isdir",
    "os.path.isfile",
    "os.path.islink",
    "os.path.ismount",
    "os.path.lexists",
    "os.path.realpath",
    "os.path.samefile",
    "os.pread",
    "os.pwrite",
    "os.readlink",
    "os.remove",
    "os.removedirs",
    "os.rename",
    "os.renames",
    "os.replace",
    "os.rmdir",
    "os.scandir",
    "os.stat*",
    "os.symlink",
    "os.sync",
    "os.truncate",
    "os.unlink",
    "os.utime",
    "os.walk",
    "os.write",
    "shutil.*",
    "tempfile.*",
)
# Methods of `pathlib.Path` that do the same, whatever they are called on, unless it is a `Files`.
PATH_METHODS = {
    "absolute",
    "chmod",
    "cwd",
    "exists",
    "expanduser",
    "glob",
    "hardlink_to",
    "home",
    "is_dir",
    "is_file",
    "is_mount",
    "is_socket",
    "is_symlink",
    "iterdir",
    "lchmod",
    "lstat",
    "mkdir",
    "open",
    "owner",
    "read_bytes",
    "read_text",
    "readlink",
    "rename",
    "resolve",
    "rglob",
    "rmdir",
    "samefile",
    "stat",
    "symlink_to",
    "touch",
    "unlink",
    "walk",
    "write_bytes",
    "write_text",
}
# What a simulator replaces, and the doors behind which the real machine is.
FILES_ROOMS = ("hsm/core/", "hsm/compute/", "hsm/wire/")
FILES_PLACES = (
    "hsm/compute/agent/host.py",  # /proc, and the new program's directory and outputs
    "hsm/compute/testing/",  # the contract suite and its sources: real files, looked at from outside
    "hsm/core/world.py",  # processes and their logs
    "hsm/wire/files.py",  # the file system itself
    "hsm/wire/syncing.py",  # and how the whole of it is made durable
    "hsm/wire/status.py",  # and how it is asked about a file without a trace
    "hsm/wire/process.py",  # /proc
    "hsm/wire/runtime.py",  # the private directory of this machine's sockets
)
# "path": {name: why it is right there}.
FILES_EXCEPTIONS: dict[str, dict[str, str]] = {
    "hsm/compute/agent/__main__.py": {
        "hsm.wire.runtime.socket_path": "the real agent's process: no simulator runs it",
        "os.path.abspath": "the same: its arguments may be relative",
    },
    "hsm/compute/agent/bell.py": {"os.write": "a pipe to itself"},
    "hsm/compute/agent/relay.py": dict.fromkeys(
        ("expanduser", "os.makedirs", "os.open", "os.path.abspath", "os.path.expanduser", "os.write"),
        "a process of its own, its arguments and standard streams: no simulator runs a relay",
    ),
    "hsm/compute/agent/starting.py": {
        "open": "the log that the process of an agent prints into",
        "os.path.abspath": "the program that runs",
    },
    "hsm/compute/agent/reporting.py": {
        "os.stat": "facts about the real machine: no simulator runs a relay",
    },
    "hsm/compute/local.py": {"open": "opens a session", "resolve": "of a command, by its environment"},
    "hsm/compute/ssh/source.py": {"resolve": "of a command, by its environment"},
    "hsm/compute/ssh/shipping.py": dict.fromkeys(
        ("is_dir", "iterdir", "read_bytes"), "HSM's own code, wherever it is installed"
    ),
    "hsm/core/plugins.py": {"read_text": "the metadata of an installed distribution"},
    "hsm/core/sockets.py": {"hsm.wire.runtime.socket_path": "this machine's sockets, behind their own door"},
}

# What else of the machine would stand between a simulator and the engine or the agent's loop.
MACHINE = (
    "asyncio.open_unix_connection",
    "asyncio.start_unix_server",
    "asyncio.to_thread",
    "concurrent.*",
    "multiprocessing.*",
    "os.getpid",
    "os.kill*",
    "os.posix_spawn*",
    "os.wait*",
    "queue.*",
    "selectors.*",
    "signal.pthread_sigmask",
    "signal.set_wakeup_fd",
    "signal.signal",
    "socket.*",
    "threading.*",
    "time.*",
)
MACHINE_PLACES = (
    "hsm/compute/agent/__main__.py",  # the real agent's process
    "hsm/compute/agent/bell.py",  # signals and sockets
    "hsm/compute/agent/host.py",  # clock, processes, workers
    "hsm/compute/agent/starting.py",  # of the relay: the agent's process, and its socket from outside
    "hsm/compute/agent/worker.py",  # a thread, given out by the host
    "hsm/compute/testing/",  # the contract suite: real processes
    "hsm/core/sockets.py",  # of the world
    "hsm/core/world.py",  # threads, processes, clocks
    "hsm/core/threads.py",  # the threads that World gives out
)

TASKS = ("asyncio.create_task", "asyncio.ensure_future")

NOBODY = (
    "importlib.reload",
    "marshal.*",
    "os.system",
    "pickle.*",
    "shelve.*",
    "yaml.full_load",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load*",
)
NOBODY_BUILTINS = {"eval", "exec", "compile", "__import__"}


# A seeded generator is data that is passed around; only `random.Random()` asks the machine for a seed.
SEEDED = "random.Random"
# Names that do nothing: what the world object takes and what it raises.
HARMLESS = {
    SEEDED,
    "socket.gaierror",
    "subprocess.CalledProcessError",
    "subprocess.CompletedProcess",
    "subprocess.DEVNULL",
    "subprocess.PIPE",
    "subprocess.STDOUT",
    "subprocess.SubprocessError",
    "subprocess.TimeoutExpired",
}


def _is_in_list(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        name.startswith(pattern[:-1]) or name == pattern.removesuffix(".*")
        if pattern.endswith("*")
        else name == pattern
        for pattern in patterns
    )


def _uses(patterns: tuple[str, ...], *, outside: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{module.path}:{line}: {name}"
        for module in modules()
        if not module.is_in(*outside)
        for line, name in references(module)
        if _is_in_list(name, patterns) and name not in HARMLESS | EXCEPTIONS.get(module.path, {}).keys()
    ]


def _file_acts(module: Module) -> Iterator[tuple[int, str]]:
    """Find what acts on the file system without asking a `Files`."""
    for line, name in references(module):
        if _is_in_list(name, FILES):
            yield line, name
    yield from _builtin_calls(module, {"open"})
    names = imported_names(module)
    called = {id(node.func) for node in module.nodes if isinstance(node, ast.Call)}
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr in PATH_METHODS:
            owner = ast.unparse(node.value)
            is_path = names.get(owner, "").startswith("pathlib.")  # `map(Path.exists, …)` counts too
            is_files = owner.rpartition(".")[2] in ("files", "_files")
            is_module = names.get(owner) in ("os", "os.path", "shutil", "io")  # told above
            if is_path or (id(node) in called and not is_files and not is_module):
                yield node.lineno, node.attr


def _unseeded(module: Module) -> Iterator[int]:
    """Find `Random()` without a seed."""
    names = imported_names(module)
    for node in module.nodes:
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            first, dot, rest = ast.unparse(node.func).partition(".")
            if names.get(first, first) + dot + rest == SEEDED:
                yield node.lineno


def _loop_tasks(module: Module) -> Iterator[int]:
    """Find `.create_task` on an event loop rather than on a TaskGroup."""
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "create_task":
            owner = ast.unparse(node.value)
            if owner.endswith(("loop", "_loop()")):
                yield node.lineno


def _builtin_calls(module: Module, names: set[str]) -> Iterator[tuple[int, str]]:
    hidden = set(imported_names(module))
    for node in module.nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in names - hidden:
            yield node.lineno, node.func.id


def test_only_the_world_touches_clocks_chance_and_processes() -> None:
    """No module but the world, the agent and the physics reads a clock, draws lots or starts a process."""
    uses = _uses(WORLD, outside=WORLD_PLACES)
    uses += [
        f"{module.path}:{line}: Random() without a seed" for module in modules() for line in _unseeded(module)
    ]
    assert not uses, report(uses, "take it from the World that is passed in")


def test_only_files_touch_the_file_system() -> None:
    """Manager and agent act on the file system through a `Files` alone, so that a simulator can be it."""
    uses = [
        f"{module.path}:{line}: {name}"
        for module in modules()
        if module.is_in(*FILES_ROOMS) and not module.is_in(*FILES_PLACES)
        for line, name in _file_acts(module)
        if name not in FILES_EXCEPTIONS.get(module.path, {})
    ]
    assert not uses, report(uses, "ask the Files that is passed in")


def test_only_doors_lead_to_the_machine() -> None:
    """Threads, sockets, signals and processes of manager and agent stand behind what can be replaced."""
    uses = [
        f"{module.path}:{line}: {name}"
        for module in modules()
        if module.is_in("hsm/core/", "hsm/compute/") and not module.is_in(*MACHINE_PLACES)
        for line, name in references(module)
        if _is_in_list(name, MACHINE) and name not in HARMLESS
    ]
    assert not uses, report(uses, "ask World, Sockets, Host or Bell")


def test_every_exception_for_files_is_needed() -> None:
    """What no module does any more is no exception."""
    done = {
        (module.path, name)
        for module in modules()
        if module.path in FILES_EXCEPTIONS
        for _, name in _file_acts(module)
    }
    listed = {(path, name) for path, names in FILES_EXCEPTIONS.items() for name in names}
    unused = [f"{path}: {name}" for path, name in sorted(listed - done)]
    assert not unused, report(unused, "strike it out")


def test_every_task_has_a_parent() -> None:
    """Coroutines are started in a TaskGroup, never left to themselves."""
    uses = _uses(TASKS, outside=("hsm/core/world.py",))
    uses += [
        f"{module.path}:{line}: loop.create_task" for module in modules() for line in _loop_tasks(module)
    ]
    assert not uses, report(uses, "use asyncio.TaskGroup")


def test_nobody_loads_code_from_data() -> None:
    """Nothing unpickles, evaluates, runs a shell through os.system, or loads YAML with tags."""
    uses = _uses(NOBODY)
    uses += [
        f"{module.path}:{line}: {name}()"
        for module in modules()
        for line, name in _builtin_calls(module, NOBODY_BUILTINS)
    ]
    assert not uses, report(uses, "data never becomes code")


def test_nobody_asks_for_a_shell() -> None:
    """No process is started with shell=True."""
    uses = [
        f"{module.path}:{node.value.lineno}"
        for module in modules()
        for node in module.nodes
        if isinstance(node, ast.keyword) and node.arg == "shell"
        if isinstance(node.value, ast.Constant) and node.value.value is True
    ]
    assert not uses, report(uses, "processes are started from argv lists")


def test_only_the_command_line_prints() -> None:
    """print() is for hsm/cli and for the physics worker, whose stdout is its user's log."""
    uses = [
        f"{module.path}:{line}"
        for module in modules()
        if not module.is_in("hsm/cli/", "hsm/physics/")
        for line, _ in _builtin_calls(module, {"print"})
    ]
    assert not uses, report(uses, "return the text, or log it")
