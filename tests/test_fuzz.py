"""A few mutated logs; `python -m tests.fuzz` looks at many."""

from tests.fuzz import property_of

test_whatever_the_cli_writes_there_is_no_defect = property_of(max_examples=60)
