"""How the tests of this folder end: with one line that says how many passed."""

import sys
import unittest


def main() -> None:
    """Runs the tests of the program's own file, prints `N passed, N failed`, and exits with 1 where one failed."""
    result = unittest.main(exit=False, verbosity=1).result
    failed = len(result.failures) + len(result.errors)
    # A test with several sub-tests that fail is one test.
    print(f"{result.testsRun - min(failed, result.testsRun)} passed, {failed} failed")
    sys.exit(bool(failed))
