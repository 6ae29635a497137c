"""The operations behind the CLI: each a function of a session, raising StoreError for the user to read.

An account may be left out (None) wherever there is only one.
"""
