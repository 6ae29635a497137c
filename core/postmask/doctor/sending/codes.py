"""What can go wrong with a message that is sent all the way through (PM6xx), by stages."""

from __future__ import annotations

from postmask.doctor.finding import declared, error, warning

NOT_BEGUN = error(
    "PM601",
    "No message could be sent.",
    "Whether mail gets through isn't known.",
    "See to what it says, then send again: postmask doctor --only send --send.",
)
SILENT = error(
    "PM602",
    "Postfix can't be talked to.",
    "No mail is taken.",
    "See that Postfix runs, and what its log says of smtpd: postfix status.",
)
GATE_OPEN = error(
    "PM603",
    "Postfix takes mail for an alias that there isn't.",
    "The gate isn't asked: what is sent to such addresses is held, and disabled or blocked ones are no "
    "longer refused at once.",
    "Run postmask postfix attach; the gate has to be the first of smtpd_recipient_restrictions on every "
    "listener (postmask doctor --only postfix).",
)
GATE_UNABLE = error(
    "PM604",
    "The gate can't say whether there is an alias.",
    "All mail to aliases waits at its senders'.",
    "See that postmask-milter alias runs and what its log says; a drained node takes no mail: postmask node "
    "resume.",
)
RECIPIENT_REFUSED = error(
    "PM605",
    "The alias is refused as a recipient.",
    "Nobody can write to it by this listener.",
    "Its words tell who refuses it: the gate, the alias milter, or a restriction of the site's own.",
)
CONTENT_REFUSED = error(
    "PM606",
    "The message is refused when all of it is there.",
    "Other mail may be refused as well.",
    "Its words tell who refuses it: the scan milter, another milter or filter of the site's, or Postfix for "
    "want of space.",
)
UNEXAMINED = warning(
    "PM607",
    "The scan milter doesn't examine what comes in.",
    "Spam and forgeries are accepted, and can only be held or discarded later.",
    "See that postmask-milter scan runs, and that the listener has $postmask_smtpd_milters "
    "(postmask doctor --only postfix).",
)
AT_THE_DOOR = error(
    "PM608",
    "The message waits in the queue: the forwarder doesn't take it.",
    "So does all mail to aliases.",
    "Its words tell why: see that postmask-forwarder runs, what its log says, and that the pipe client can "
    "be run (--only node).",
)
LOST_SIGHT = error(
    "PM609",
    "The message was accepted, but neither lies in the queue nor has come to the forwarder.",
    "A content filter or a map of the site's may send mail to aliases elsewhere.",
    "postmask trace tells what became of it; see what the site's content_filter and transport_maps do.",
)
NOT_FORWARDED = error(
    "PM610",
    "The forwarder has taken the message, but doesn't forward it.",
    "Other mail to aliases may come to the same end.",
    "Its words tell why: the alias's own state, its mailbox's, or the spam check's.",
)
NOT_REINJECTED = error(
    "PM611",
    "The forwarded copy can't be handed to Postfix.",
    "All mail to aliases waits.",
    "See what postmask-forwarder's log says, and that its user reaches the socket of reinject.socket.",
)
NOT_ARRIVED = error(
    "PM612",
    "The forwarded copy has not come out at the other end.",
    "The mailboxes behind aliases don't get their mail, or get it late.",
    "Its words are those of whoever has it: Postfix, or the server of the mailbox.",
)
UNSEEN = warning(
    "PM613",
    "Postfix sent the copy on, but its log doesn't say to whom.",
    "Whether it came to the mailbox isn't known.",
    "See whether it is there; postmask trace tells where the log is looked for.",
)
LEFT_BEHIND = warning(
    "PM614",
    "Something of the message could not be taken away again.",
    "An alias that nobody needs stays, or a message in the queue.",
    "See to what it says; the next postmask doctor --send tries again, an hour later at the earliest.",
)

CODES = declared(globals())
