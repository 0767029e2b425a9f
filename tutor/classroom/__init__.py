"""Grading many: submissions, what each of them earned, and the files that others read."""
