"""`python -m tinygrad_rnn` is the command line, also where no script was put on the path."""

import sys

from .cli import main

sys.exit(main())
