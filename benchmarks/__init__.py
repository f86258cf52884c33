"""Measures of speed and memory, each against its peers: `python -m benchmarks`, from the checkout."""
