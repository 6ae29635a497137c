"""What `postmask doctor` is made of: findings with codes, groups of checks, and what the last run found.

finding       a code and its finding; pure
examination   groups of checks, run side by side, each with its time limit
memory        what the last run found, so that only what differs need be told

The groups themselves are put together in postmask.cli.doctor.groups.
"""
