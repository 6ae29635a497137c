"""The agent's replica of the directory (Postgres only): copied in full, then followed."""
