"""What is derived from the course's own files."""
