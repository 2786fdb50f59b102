"""A project with a Hydra application, and a sweeper that writes down what its launcher hands back."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_S = 50.0

APPLICATION = '''
"""Grows a crop; a resolver and a schema exist only because this runs as __main__."""
import logging, os, sys, time
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

log = logging.getLogger(__name__)


@dataclass
class Soil:
    depth: float = 1.0
    name: str = "loam"


class Drought(Exception):
    pass


def scored(main):
    return main


@hydra.main(version_base="1.3", config_path="conf", config_name="crop")
def grow(cfg):
    project = Path(__file__).resolve().parent
    with (project / "begun.txt").open("a") as file:
        file.write(f"{HydraConfig.get().job.num}\\n")
    deadline = time.monotonic() + 30
    while (project / "hold").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    log.info("growing %s in %s", cfg.water, OmegaConf.get_type(cfg.soil).__name__)
    Path("harvest.txt").write_text(str(cfg.water)) if HydraConfig.get().job.chdir else None
    match cfg.water:
        case "none":
            raise ValueError("dry", 7)
        case "never":
            raise Drought("worse than dry")
        case "flood":
            os._exit(9)
        case "object":
            return object()
    return {"yield": float(cfg.water) * cfg.soil.depth * cfg.factor, "place": os.getcwd()}


if __name__ == "__main__":
    OmegaConf.register_new_resolver("double", lambda value: 2 * value)
    ConfigStore.instance().store(group="soil", name="garden", node=Soil)
    grow()
    print("after the multirun")
'''

CALLBACKS = '''
"""Notes which of Hydra's callbacks are called."""
from pathlib import Path

from hydra.experimental.callback import Callback


class Noted(Callback):
    def __init__(self, path):
        self.path = Path(path)

    def note(self, name):
        with self.path.open("a") as file:
            file.write(f"{name}\\n")

    def on_run_start(self, config, **kwargs):
        self.note("run")

    def on_multirun_start(self, config, **kwargs):
        self.note("begin")

    def on_multirun_end(self, config, **kwargs):
        self.note("end")

    def on_job_start(self, config, **kwargs):
        self.note("job")

    def on_job_end(self, config, job_return, **kwargs):
        self.note(f"job {job_return.status.name} {job_return.return_value['yield']}")
'''

CALLED = """
defaults: [crop]
called: ???
hydra:
  job: {env_copy: [FIELD]}
  callbacks: {noted: {_target_: noted.Noted, path: "${called}"}}
"""

CONFIGURATION = """
defaults: [{soil: garden}, _self_]
water: 1
factor: ${double:3}
note: plain
"""

SWEEPER = '''
"""Two batches: the jobs asked for, then one that depends on what they returned."""
import json
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper


@dataclass
class ProbeConf:
    _target_: str = "hydra_plugins.probe_sweeper.Probe"


ConfigStore.instance().store(group="hydra/sweeper", name="probe", node=ProbeConf, provider="probe")


class Probe(Sweeper):
    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        jobs = [json.loads(text) for text in Path("jobs.txt").read_text().splitlines()]
        first = list(self.launcher.launch(jobs, initial_job_idx=0))
        best = max(job.return_value["yield"] for job in first if isinstance(job._return_value, dict))
        second = list(self.launcher.launch([[f"water={best}"]], initial_job_idx=len(jobs)))
        Path("returns.json").write_text(json.dumps([self.told(job) for job in first + second]))

    def told(self, job):
        try:
            value, error = job.return_value, None
        except Exception as raised:
            value, error = None, [type(raised).__name__, str(raised), str(raised.__cause__)]
        return {
            "status": job.status.name,
            "value": value,
            "error": error,
            "overrides": list(job.overrides),
            "note": job.cfg.note,
            "number": job.hydra_cfg.hydra.job.num,
            "output": job.hydra_cfg.hydra.runtime.output_dir,
            "working": job.working_dir,
            "name": job.task_name,
        }
'''


@dataclass(frozen=True, slots=True)
class Said:
    """What an application wrote."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class HydraProject:
    """A folder with the application `crop.py`, which is run as a user runs it."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> "HydraProject":
        """Write the application and the sweeper `probe`."""
        (root / "conf").mkdir(parents=True)
        (root / "conf" / "crop.yaml").write_text(CONFIGURATION)
        (root / "crop.py").write_text(APPLICATION)
        (root / "conf" / "called.yaml").write_text(CALLED)
        (root / "noted.py").write_text(CALLBACKS)
        plugin = root / "plugins" / "hydra_plugins" / "probe_sweeper"
        plugin.mkdir(parents=True)
        (plugin / "__init__.py").write_text(SWEEPER)
        return cls(root)

    def argv(self, *arguments: str, program: Sequence[str] = ("crop.py",), slots: int = 2) -> list[str]:
        """Return the command of a multirun on so many slots, if no other launcher is named."""
        ours = ["hydra/launcher=hsm", f"hydra.launcher.source=local:{slots}"]
        is_ours = not any(argument.startswith("hydra/launcher=") for argument in arguments)
        return [sys.executable, *program, "--multirun", *arguments, *(ours if is_ours else ())]

    def environment(self, **more: str) -> dict[str, str]:
        """Return variables in which the sweeper is found, by a path relative to the project."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
        return {**kept, "PYTHONPATH": "plugins", **more}

    def run(self, *arguments: str, code: int = 0, program: Sequence[str] = ("crop.py",), **more: str) -> Said:
        """Run a multirun to its end and check its exit code."""
        done = subprocess.run(
            self.argv(*arguments, program=program),
            cwd=self.root,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return Said(done.returncode, done.stdout)

    def jobs(self, *overrides: Sequence[str]) -> None:
        """Write down the jobs that the sweeper `probe` launches first."""
        (self.root / "jobs.txt").write_text("".join(json.dumps(list(job)) + "\n" for job in overrides))

    @property
    def returns(self) -> list[dict[str, Any]]:
        """What the launcher handed back to the sweeper `probe`."""
        found: list[dict[str, Any]] = json.loads((self.root / "returns.json").read_text())
        return found

    @property
    def sweeps(self) -> list[Path]:
        """The sweeps that were made, by name."""
        return sorted((self.root / "sweeps" / "outputs").iterdir())

    def begun(self) -> list[str]:
        """Return the number of every job that began, as often as it began."""
        path = self.root / "begun.txt"
        return path.read_text().split() if path.exists() else []
