"""`python -m rxccsdk` is `rxccsdk`."""

from rxccsdk.cli import main

main()
