"""Estimates pi by chance, many tasks in one process: a program that takes batches needs no more than this."""

import json
import os
import random
import sys
import traceback
from pathlib import Path


def estimate(directory: Path, samples: int, seed: str) -> int:
    """Do one task: leave its results in its directory, return its exit code."""
    if samples < 1:
        (directory / "stderr.log").write_text(f"samples is {samples}; at least 1 is needed\n")
        return 2
    rng = random.Random(f"{samples} {seed}")
    inside = sum(rng.random() ** 2 + rng.random() ** 2 < 1 for _ in range(samples))
    (directory / "metrics.json").write_text(json.dumps({"pi": 4 * inside / samples}))
    return 0


with os.fdopen(int(os.environ["HSM_BATCH_FD"]), "w") as ends:
    for line in sys.stdin:  # one line for each batch; no further line comes when nothing is left to do
        for member in json.loads(line).get("members", ()):
            try:
                seed = member["variables"]["HSM_SEED"]
                code = estimate(Path(member["directory"]), member["params"]["samples"], seed)
            except Exception:  # noqa: BLE001 - whatever it is, the others go on
                traceback.print_exc()
                code = 1
            print(json.dumps({"token": member["token"], "exit": code}), file=ends, flush=True)
