"""The node's copy of the directory: what it is made of, how it is read from Postgres, where it lies.

tables   which tables and columns are copied, and the copy's own shape
feed     the truth's side: who it is, a snapshot of it, what has changed since a number
file     one SQLite file: made from a snapshot, brought up to date, checked
folder   the files of a node, and the pointer that names the current one
"""
