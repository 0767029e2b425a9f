"""`tutor show`."""
