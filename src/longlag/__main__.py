"""`python -m longlag`."""

import sys

from longlag.cli import main

if __name__ == "__main__":
    sys.exit(main())
