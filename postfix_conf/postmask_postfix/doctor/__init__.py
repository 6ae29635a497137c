"""What can be wrong with a Postfix, for `postmask doctor`.

codes         each kind of trouble, with why and what to do
facts         a Postfix as data
reading       the facts, asked of a Postfix; the only part that looks at anything
listeners     who is let in, and past which milters; pure
passage       what limits or alters our mail on its way; pure
attachment    what is ours in it, and whether that is still so; pure
"""
