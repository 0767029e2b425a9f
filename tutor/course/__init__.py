"""The course as data: its tracks and steps, what they are called, and the text of each."""
