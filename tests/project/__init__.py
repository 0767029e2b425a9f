"""Tests of the course itself: the registry, the checks, the references and the commands."""
