"""Postfix's log, read back: what became of each message (reconcile), and the story of one (trace).

lines and records take a line apart; tracking joins records into messages; reckoning holds them against
the ledger and the queue; telling finds what belongs to one message. All of these are pure: sources,
the only part that reads anything, gives them lines.
"""
