"""What people look at. Nothing here is imported before it is used; the parts in this folder need rich."""
