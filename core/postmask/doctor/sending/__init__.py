"""A message sent all the way through, for `postmask doctor --send`.

codes      what can go wrong, one for each stage
journey    the stages, in their order; pure but for whom it asks
"""
