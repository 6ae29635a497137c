"""Postfix's side of Postmask: the wanted settings as data, and what puts them into an instance."""
