"""`tutor train`."""
