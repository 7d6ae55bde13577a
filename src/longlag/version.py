"""The release, and the revision of its results."""

__version__ = "0.2.0"

# Raised by hand when a trial's bits change, which `tests/test_bits.py` notices: rows of a ledger
# and saved states of an earlier revision then count no longer.
REVISION = 2
CODE_VERSION = f"{__version__}+r{REVISION}"
