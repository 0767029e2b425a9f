"""What maintainers run: it makes what is committed, builds kernel packs, and tests them."""
