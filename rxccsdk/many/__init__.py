"""Many prompts, each with a session of its own."""
