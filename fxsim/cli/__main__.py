"""`python -m fxsim.cli`: the same as the `fxsim` script."""

import sys

from fxsim.cli import main

sys.exit(main())
