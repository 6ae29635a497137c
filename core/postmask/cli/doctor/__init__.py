"""`postmask doctor`: everything that can be wrong, looked for.

command     the command and what it prints
groups      the groups of checks, put together
manual      the manual page postmask-doctor(7), written from the groups and their codes
"""
