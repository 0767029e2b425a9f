"""`tutor grade`."""
