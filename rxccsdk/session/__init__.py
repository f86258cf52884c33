"""Sessions and turns: who is asked what, when, and what became of it."""
