"""Applies plans: bounded concurrency, order of writes, read-back of unknown outcomes, progress."""
