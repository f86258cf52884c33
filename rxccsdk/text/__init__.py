"""The text pipe that session and operators share: pieces, separators, printing, callbacks, flow."""
