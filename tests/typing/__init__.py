"""Samples for the type checker; see test_typing.py."""
