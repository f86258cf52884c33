"""Recordings as documents: a page that plays one, a transcript, a picture. Imported on use."""
