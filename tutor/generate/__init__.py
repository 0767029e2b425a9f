"""`tutor generate`."""
