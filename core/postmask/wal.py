"""How much of SQLite's write-ahead log stays on the disk.

A large change (an import, a purge, a replica that catches up) is as large in the log, and SQLite uses that
again but gives nothing back while anybody has the file open: with our programs for months.
"""

KEPT = 64 << 20
"""Octets. What is beyond is cut off by the next change after a checkpoint."""

LIMIT = f"PRAGMA journal_size_limit = {KEPT}"
"""For each connection that writes."""
