"""Files that outlive a run: locks, rollback blocks, baselines, snapshots and exports."""
