"""What learners hand in: folders, archives and repositories."""
