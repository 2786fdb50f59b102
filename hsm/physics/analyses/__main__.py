"""Entry point of `python -m hsm.physics.analyses`."""

import os
import sys

from hsm.physics.analyses.program import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
