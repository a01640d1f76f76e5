"""`python -m pixelrnn VERB ...`: the same as the command `pixelrnn`."""

import sys

from pixelrnn.cli.main import main

sys.exit(main())
