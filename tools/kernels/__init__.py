"""Kernel packs: built, tested, and run on other CPUs."""
