"""The engine that writes text with the code of either tree."""
