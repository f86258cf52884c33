"""The suite on each supported Python, and with the lowest supported version of every dependency.

`nox -s tests-3.12`, `nox -s lowest`; `nox` alone runs all of them.
"""

import nox

nox.options.default_venv_backend = "uv"

PYTHONS = ["3.11", "3.12", "3.13"]
SUITE = ("python", "-m", "pytest", "-n", "2", "--dist", "loadfile", "-q")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite with the newest dependencies."""
    session.install(".[test]")
    session.run(*SUITE, *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the suite with the lowest versions that pyproject.toml allows."""
    session.install("--resolution", "lowest-direct", ".[test]")
    session.run(*SUITE, *session.posargs)
