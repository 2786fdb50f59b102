"""What a shell may offer next, within a tenth of a second: standard library, no ledger, no command imported.

Commands and options are read from `completion.json`, made from the commands themselves by
`python -m tests.unit.cli.reference`. An answer is one line for each offer: kind, text and help, with tabs
between. `word` is whole, `partial` goes on, `file` and `dir` leave it to the shell.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

INDEX = os.path.join(os.path.dirname(__file__), "completion.json")  # noqa: PTH118, PTH120 - pathlib costs 10 ms
MANY = 100
"""So many tasks are offered one by one; of more, only how their names go on."""
SELECTORS = ("all", "failed", "cancelled", "corrupt", "sealed", "running", "best:5")
KINDS = ("ssh:", "slurm:", "pbs:")
DEFAULT_OUTPUTS = os.path.join("sweeps", "outputs")  # noqa: PTH118

_USUAL = ["outputs:", DEFAULT_OUTPUTS]

Offer: TypeAlias = "tuple[str, str, str]"
Index: TypeAlias = "Mapping[str, Any]"


class Typed(NamedTuple):
    """What stands on the line: the command, its arguments and options so far, and the word at the cursor."""

    path: str
    arguments: Sequence[str]
    options: Mapping[str, str]
    waiting: str
    word: str


def answer(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Write what may come next for the words on a command line, the last of them being typed."""
    shell = environment["_HSM_COMPLETE"]
    words = split(arguments[0]) if shell == "bash" and arguments else list(arguments)
    try:
        offers = list(offered(words or [""], environment))
    except Exception:  # noqa: BLE001 - a shell that is being typed in must never see a traceback
        return 0
    cut = _broken_at(words[-1] if words else "", environment.get("_HSM_BREAKS", "")) if shell == "bash" else 0
    sys.stdout.write("".join(f"{kind}\t{text[cut:]}\t{told}\n" for kind, text, told in offers))
    return 0


def split(line: str) -> list[str]:
    """Return the words of a line behind the first, the last one as far as it is typed."""
    import shlex

    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words[1:], ""] if line[-1:].isspace() and not closing else words[1:]
    return []


def _broken_at(word: str, breaks: str) -> int:
    """Return how much of a word bash takes for words before it."""
    return max((word.rfind(ch) for ch in ":=" if ch in breaks), default=-1) + 1


def offered(words: Sequence[str], environment: Mapping[str, str]) -> Iterator[Offer]:
    """Yield what may stand in the place of the last word."""
    with open(INDEX, encoding="utf-8") as file:  # noqa: PTH123
        index = json.load(file)
    typed = parsed(index, words)
    if typed.path not in index["commands"]:
        known = {} if typed.arguments else index["groups"].get(typed.path, {})
        yield from _matching(typed.word, known.items())
        return
    command = index["commands"][typed.path]
    takes: Any = None
    head = ""
    if typed.waiting:
        takes = command["options"][typed.waiting]["takes"]
    elif typed.word.startswith("--") and "=" in typed.word:
        name, _, rest = typed.word.partition("=")
        takes, head = command["options"].get(name, {}).get("takes"), f"{name}="
        typed = Typed(typed.path, typed.arguments, typed.options, name, rest)
    elif typed.word.startswith("-"):
        yield from _options(command, typed)
        return
    else:
        takes = _argument(command, len(typed.arguments))
    for kind, text, told in _values(takes, typed, environment):
        yield kind, head + text, told


def parsed(index: Index, words: Sequence[str]) -> Typed:
    """Return what the words before the cursor mean."""
    before, word = list(words[:-1]), words[-1]
    path = ""
    while before and before[0] in index["groups"].get(path, {}):
        path = f"{path} {before.pop(0)}".strip()
    known = index["commands"].get(path, {"options": {}})["options"]
    arguments: list[str] = []
    options: dict[str, str] = {}
    waiting = ""
    for item in before:
        name, _, value = item.partition("=")
        if waiting:
            options[waiting], waiting = item, ""
        elif name in known:
            options[name] = value
            waiting = name if known[name]["takes"] is not None and "=" not in item else ""
        elif not item.startswith("-"):
            arguments.append(item)
    return Typed(path, arguments, options, waiting, word)


def _argument(command: Mapping[str, Any], place: int) -> Any:
    arguments = command["arguments"]
    if place < len(arguments):
        return arguments[place]["takes"]
    return arguments[-1]["takes"] if arguments and arguments[-1]["repeats"] else None


def _options(command: Mapping[str, Any], typed: Typed) -> Iterator[Offer]:
    for name, option in command["options"].items():
        is_new = option["repeats"] or name not in typed.options
        if is_new and name.startswith(typed.word) and (name.startswith("--") or typed.word == name):
            yield "word", name, option["help"]


def _matching(word: str, known: Any) -> Iterator[Offer]:
    return (("word", name, told) for name, told in known if name.startswith(word))


def _values(takes: Any, typed: Typed, environment: Mapping[str, str]) -> Iterator[Offer]:
    if isinstance(takes, list):
        return _matching(typed.word, ((choice, "") for choice in takes))
    find = _VALUES.get(takes)
    return find(typed, environment) if find is not None else iter(())


def _files(typed: Typed, _environment: Mapping[str, str]) -> Iterator[Offer]:
    yield "file", typed.word, ""


def _folders(typed: Typed, _environment: Mapping[str, str]) -> Iterator[Offer]:
    yield "dir", typed.word, ""


# Where things are


def _outputs(typed: Typed, environment: Mapping[str, str]) -> str:
    """Return the directory of the sweeps; the strict reader is asked only where a file may name another."""
    if "--outputs" in typed.options:
        return typed.options["--outputs"]
    root, is_set = _project(environment, "outputs")
    if is_set:
        from pathlib import Path

        from hsm.config import find_project

        return str(find_project(Path.cwd(), environment).outputs)
    return os.path.join(root, DEFAULT_OUTPUTS)  # noqa: PTH118


def _project(environment: Mapping[str, str], key: str) -> tuple[str, bool]:
    """Return the project's root, and whether any layer of settings may say something about a key."""
    here = root = os.getcwd()  # noqa: PTH109
    while True:
        if os.path.exists(os.path.join(here, "hsm.yaml")):  # noqa: PTH110, PTH118
            root = here
            break
        parent = os.path.dirname(here)  # noqa: PTH120
        if parent == here:
            break
        here = parent
    own = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME", "/"), ".config")  # noqa: PTH118
    folders = [own, *(environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    files = [os.path.join(root, "hsm.yaml"), *(f"{folder}/hsm/config.yaml" for folder in folders)]  # noqa: PTH118
    is_set = any(name.startswith(f"HSM_{key.upper()}") for name in environment)
    return root, is_set or any(_mentions(path, key) for path in files)


def _mentions(path: str, key: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            said = [line.partition("#")[0].split() for line in file]
    except OSError:
        return False
    return any(words != _USUAL and any(key in word for word in words) for words in said)


def _sweeps(typed: Typed, environment: Mapping[str, str]) -> Iterator[Offer]:
    """Offer `last`, then every sweep, the newest first."""
    names = _ids(_outputs(typed, environment))
    if names and "last".startswith(typed.word):
        yield "word", "last", names[-1]
    yield from (("word", name, "") for name in reversed(names) if name.startswith(typed.word))


def _ids(outputs: str) -> list[str]:
    try:
        with os.scandir(outputs) as entries:
            found = [entry.name for entry in entries if os.path.exists(f"{entry.path}/.hsm/FORMAT")]  # noqa: PTH110
    except OSError:
        return []
    return sorted(found, key=lambda name: (name.split("-")[-3:-1], name))


def _tasks(typed: Typed, environment: Mapping[str, str]) -> Iterator[Offer]:
    """Offer tasks of the sweep that the line names, and words that choose among them."""
    outputs = _outputs(typed, environment)
    named = typed.options.get("--sweep") or (typed.arguments[0] if _names_sweep(typed) else "last")
    names = _ids(outputs)
    tree = names[-1] if named in ("last", "@") and names else named
    matching = [name for name in names if name.startswith(tree)]
    count = _count(os.path.join(outputs, matching[0])) if len(matching) == 1 or tree in matching[:1] else 0  # noqa: PTH118
    if typed.word and typed.word[0].isdigit():
        found = [str(index) for index in range(1, count + 1)]
    else:
        found = [f"task_{index:04d}" for index in range(1, count + 1)]
        yield from _matching(typed.word, ((word, "tasks") for word in SELECTORS))
    yield from _few([name for name in found if name.startswith(typed.word)])


def _names_sweep(typed: Typed) -> bool:
    return bool(typed.arguments) and typed.path.startswith("sweep ")


def _few(names: Sequence[str]) -> Iterator[Offer]:
    """Offer names, or how they go on where there are many."""
    if len(names) <= MANY:
        yield from (("word", name, "") for name in names)
        return
    first, last = min(names), max(names)
    end = next((i for i, ch in enumerate(first) if last[i] != ch), len(first)) + 1
    yield from (("partial", head, "") for head in dict.fromkeys(name[:end] for name in names))


def _count(tree: str) -> int:
    """Return how many tasks a sweep has: from its summary, else from the directories that are there."""
    try:
        with open(f"{tree}/.hsm/summary.json", encoding="utf-8") as file:  # noqa: PTH123
            generations = json.load(file)["generations"]
        return int(sum(generation["count"] for generation in generations))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        return len(os.listdir(f"{tree}/tasks"))  # noqa: PTH208
    except OSError:
        return 0


def _sources(typed: Typed, environment: Mapping[str, str]) -> Iterator[Offer]:
    cores = os.cpu_count() or 1
    names = {"local": "this machine", f"local:{cores}": f"{cores} at a time"}
    if _project(environment, "sources")[1]:
        from pathlib import Path

        from hsm.config import find_project

        names |= dict.fromkeys(find_project(Path.cwd(), environment).sources, "of the settings")
    yield from _matching(typed.word, names.items())
    yield from (("partial", kind, "") for kind in KINDS if kind.startswith(typed.word) and kind != typed.word)


_VALUES: Mapping[str, Callable[[Typed, Mapping[str, str]], Iterator[Offer]]] = {
    "file": _files,
    "dir": _folders,
    "sweep": _sweeps,
    "task": _tasks,
    "source": _sources,
}
