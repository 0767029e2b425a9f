"""What the checks can ask of the code under check, carried out in its process."""
