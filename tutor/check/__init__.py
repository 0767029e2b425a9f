"""`tutor check`."""
