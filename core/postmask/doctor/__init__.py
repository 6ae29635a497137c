"""What `postmask doctor` is made of: findings with codes, groups of checks, and what the last run found.

finding       a code and its finding; pure
examination   groups of checks, run side by side, each with its time limit
memory        what the last run found, so that only what differs need be told
inquiry       DNS questions, and which of them nobody answered
node          what can be wrong with Postmask itself
host, domain  what can be wrong with the host and with the records of our domains
blocklists    what block lists say

The groups themselves are put together in postmask.cli.doctor.groups.
"""
