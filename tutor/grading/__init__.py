"""Checks of a step: the code under check runs in a process of its own and is only observed."""
