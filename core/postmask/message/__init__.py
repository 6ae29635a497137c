"""A message from bytes to bytes: headers, rewriting, leak check, DSNs. Pure: no clock, log or socket."""
