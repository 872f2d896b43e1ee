"""Pure decisions: states in, plans and reports out. No I/O, no clock, no random number, no one system."""
