"""The CLI's protocol without I/O: bytes to events, requests to bytes."""
