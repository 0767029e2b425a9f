"""The terminal: what is printed, which keys are pressed, and how a command ends."""
