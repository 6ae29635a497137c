"""postmask-agent: one a node, carries what this node learned to the truth."""
