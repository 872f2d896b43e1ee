"""The audit of leaks as tests."""
