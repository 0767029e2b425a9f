"""The report on a class, as a page."""
