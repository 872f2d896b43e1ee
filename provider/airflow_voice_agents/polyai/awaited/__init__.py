"""What the newer sensors wait for."""
