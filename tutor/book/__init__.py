"""The book: its chapters in the terminal, and as pages for a browser."""
