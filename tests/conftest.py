"""What all tests share: repeatable property tests, the installed command, a browser where there is one."""

import atexit
import gc
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# Set before anything imports JAX: a test must not claim a GPU that somebody is using. Name one to override.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# The sweeps that tests run are noted in a folder of the tests, never in the user's own state.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="hsm-test-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# The same examples on every run, and no deadline: the machine that runs the tests has other things to do.
# `pytest --hypothesis-profile=thorough` draws many more, and others each time.
settings.register_profile("hsm", derandomize=True, deadline=None, database=None, max_examples=40)
settings.register_profile("thorough", deadline=None, database=None, max_examples=1000)
settings.load_profile("hsm")

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage neither while tests are collected, nor ever again among what is there by then.

    Modules and thousands of tests stay to the end: each search would walk over all of them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no test see what the user and the site of this machine have set for HSM."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config-home"))
    os.environ["XDG_CONFIG_DIRS"] = str(tmp_path_factory.mktemp("config-dirs"))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The root of the source tree."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def hsm_command() -> Path:
    """The `hsm` that is installed beside the running interpreter."""
    command = Path(sysconfig.get_path("scripts")) / "hsm"
    assert command.exists(), f"{command} is missing: run `sh tools/setup.sh dev`"
    return command


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser, for tests that look at pages; they skip where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("NO BROWSER: install chromium to test what the pages look like")
    return found
