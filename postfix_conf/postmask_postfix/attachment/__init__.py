"""Attaching Postmask to a running Postfix, and taking it away again without a trace.

attach      plan → trial → journal → change → reload → dialogue with every listener
detach      and status
plan        what is written where, from the settings' data; pure
"""
