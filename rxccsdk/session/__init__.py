"""Sessions and turns: prompts, when they are sent, and what answers them."""
