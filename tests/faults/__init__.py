"""Faults crossed with uses: whatever happens to the CLI, however it is used, everything ends.

`python -m tests.faults` runs every cell and prints the matrix.
"""
