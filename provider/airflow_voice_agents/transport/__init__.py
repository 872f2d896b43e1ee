"""Transport: endpoint values, sending, retry, deadline, limits, errors and redaction."""
