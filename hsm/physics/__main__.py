"""Entry point of `python -m hsm.physics`."""

import os
import sys
import time

from hsm.physics.backend import keep_freed_memory, prepare_environment
from hsm.physics.interruption import Interruption
from hsm.physics.worker import main

if __name__ == "__main__":
    interruption = Interruption(time.time)
    interruption.listen()
    prepare_environment(os.environ)
    keep_freed_memory()
    code = main(sys.argv[1:], os.environ, interruption)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(
        code
    )  # every file is closed and synced; an orderly exit spends a quarter of a second in XLA's threads
