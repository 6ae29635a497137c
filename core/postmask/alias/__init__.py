"""The alias decision: facts in, verdict out. Pure; the only asking is done by facts.gather."""
