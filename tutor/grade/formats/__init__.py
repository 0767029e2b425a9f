"""The files that others read."""
