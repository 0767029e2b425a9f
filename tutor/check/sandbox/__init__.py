"""The process of the code under check, and what keeps it apart."""
