"""What outlives a run: locks, rollback blocks, baselines, snapshots and export files."""
