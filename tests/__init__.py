"""The checks of the steps, and the tests of the course."""
