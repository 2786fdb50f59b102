"""The program `python -m hsm.physics`: parameters in, results out, one run, or one after another in batches.

Exit codes: 0 the run gave an answer (`blown_up`, `dead` and `underresolved_space` are answers too: see
`status` in metrics.json), 1 the results could not be written, 2 bad parameters, 124 stopped before the
deadline, 128 + n stopped by signal n. Nothing heavy is imported before the parameters are known to be good.
"""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from hsm.physics.batch import ENDS, serve
from hsm.physics.environment import Environment, given_parameters, read_environment
from hsm.physics.interruption import Interruption
from hsm.physics.models import model_names
from hsm.physics.parameters import ParameterErrors, Params, parameter_table, read_params
from hsm.physics.sncgl import Sncgl
from hsm.physics.status import Status

EXIT_UNWRITABLE = 1
EXIT_BAD_PARAMETERS = 2
EXIT_TIMEOUT = 124
EXIT_SIGNAL = 128
VARIABLES = (
    "HSM_PARAMS HSM_RESULTS HSM_SEED HSM_CONFIG_HASH HSM_TASK_ID HSM_ATTEMPT HSM_DEADLINE HSM_CHECKPOINT",
    "HSM_CHECKPOINT_EVERY_S HSM_CPUS HSM_JAX_CACHE HSM_BATCH_FD",
)


def main(arguments: Sequence[str], environ: Mapping[str, str], interruption: Interruption) -> int:
    """Run the program; return its exit code."""
    match list(arguments):
        case ["-h" | "--help", *_]:
            print(usage())
            return 0
        case ["--schema"]:
            from hsm.physics.provenance import schema

            print(json.dumps(schema(), indent=2, ensure_ascii=False))
            return 0
        case ["--movie", history, movie]:
            return _movie(Path(history), Path(movie))
        case ["--metrics", history]:
            return _metrics(Path(history))
        case _ if ENDS in environ:
            return serve(environ, interruption, partial(_simulate, arguments))
        case _:
            return _simulate(arguments, environ, interruption)


def _movie(history: Path, movie: Path) -> int:
    from hsm.physics.movie import NoMovie, make_movie

    try:
        count = make_movie(history, movie)
    except NoMovie as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_PARAMETERS
    except OSError as error:
        print(f"error: no movie could be made: {error}", file=sys.stderr)
        return EXIT_UNWRITABLE
    print(f"{movie}: {count} frames")
    return 0


def _metrics(history: Path) -> int:
    """Print what metrics.json says of a finished run, computed again from its history alone."""
    from hsm.physics.artifacts import json_text
    from hsm.physics.measure.artifact import Artifact, UnreadableArtifact
    from hsm.physics.scores import metrics

    try:
        print(json_text(metrics(Artifact.read(history))), end="")
    except UnreadableArtifact as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_PARAMETERS
    return 0


def _simulate(arguments: Sequence[str], environ: Mapping[str, str], interruption: Interruption) -> int:
    try:
        environment, params = _read(arguments, environ)
    except ParameterErrors as error:
        print(_complaint(error), file=sys.stderr)
        return EXIT_BAD_PARAMETERS
    from hsm.physics.run import run  # loads JAX

    interruption.deadline_s = environment.deadline_s
    try:
        outcome = run(params, environment, environ, interruption)
    except OSError as error:
        print(f"error: the results could not be written: {error}", file=sys.stderr)
        return EXIT_UNWRITABLE
    print(f"{outcome.status.value}: {outcome.reason}" if outcome.reason else outcome.status.value)
    return exit_code(outcome.status, interruption)


def _read(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[Environment, Params]:
    """Read variables, file and arguments; what is wrong in any of them is told together."""
    environment, problems = read_environment(environ)
    given, more = given_parameters(environment, arguments)
    problems += more
    try:
        params = read_params(given)
    except ParameterErrors as error:
        raise ParameterErrors([*problems, *error.problems]) from error
    if problems:
        raise ParameterErrors(problems)
    return environment, params


def exit_code(status: Status, interruption: Interruption) -> int:
    """Return the exit code of a run that ended with `status`."""
    match status:
        case Status.CANCELLED:
            return EXIT_SIGNAL + (interruption.signal or signal.SIGTERM)
        case Status.TIMEOUT:
            return EXIT_TIMEOUT
        case _:
            return 0


def _complaint(error: ParameterErrors) -> str:
    """Say what is wrong, a problem last: of a failed task the last line of stderr is quoted."""
    count = len(error.problems)
    head = f"error: {count} bad parameter{'s' if count > 1 else ''}"
    about = "  (python -m hsm.physics --help lists the parameters)"
    return "\n".join([head, about, *(f"  {problem}" for problem in error.problems)])


def usage() -> str:
    """Return the help text: every parameter with its default, range and meaning."""
    lines = [
        "usage: python -m hsm.physics [KEY=VALUE ...]",
        "       python -m hsm.physics --schema                   print the JSON schema of provenance.json",
        "       python -m hsm.physics --metrics HISTORY.h5       the scores of a run, from its history alone",
        "       python -m hsm.physics --movie HISTORY.h5 OUT     animated .webp, .png or .gif of a history",
        "",
        "Simulates the S-NCGL equation, or another one by its name, in one, two or three dimensions.",
        f"Equations: {', '.join(model_names())}",
        "",
    ]
    defaults = json.loads(Params().canonical_json())
    for name, (rule, about) in parameter_table(Sncgl).items():
        default = defaults[name]
        word = getattr(rule, "word", "auto")
        lines += [
            f"  {name} = {word if default is None else default}",
            f"      {about}; {rule.expected}",
        ]
    lines += [
        "",
        "Environment:",
        *(f"  {line}" for line in VARIABLES),
    ]
    return "\n".join(lines)
