"""Pure decisions: states in, plans and reports out, without I/O, clocks, random numbers or vendor code."""
