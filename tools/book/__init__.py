"""What is derived for the book."""
