"""Tests of the reference solutions, and of the checks that learners run."""
