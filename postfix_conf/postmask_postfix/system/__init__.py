"""Postmask on a host: its users, folders, master secret, pipe client and systemd units.

What there is to be stands in `wanted` and in `units/`; `host` looks what there is; `plan` makes of the two
a list of actions, without touching anything; `perform` carries them out. All of it also below another
root folder, for the making of images.
"""
