"""The table of guarantees, asserted for every writing operator."""
