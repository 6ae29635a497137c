"""The checks of this node, behind `postmask status` and `postmask doctor`: each looks at one part and never
raises. What can't be looked at counts as amiss, with the reason.

check      a check, and the part of the node that it is of
parts      all of them, put together
database   what the truth says · files what the node keeps · postfix · programs, secrets and engines
"""
