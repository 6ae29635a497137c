"""Postmask: an e-mail alias service as plug-ins for an existing Postfix."""

__version__ = "0.1.0.dev0"
