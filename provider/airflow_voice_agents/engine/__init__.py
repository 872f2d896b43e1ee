"""Carries plans out: bounded concurrency, order of writes, unknown outcomes read back, progress."""
