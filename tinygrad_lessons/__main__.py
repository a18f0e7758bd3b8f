"""`python -m tinygrad_lessons` is the command `tgl`."""

import sys

from tinygrad_lessons.cli import main

if __name__ == "__main__":
    sys.exit(main())
