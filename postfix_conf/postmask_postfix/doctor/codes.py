"""The codes of the doctor's group `postfix`: each kind of trouble, why it matters, and what to do."""

from __future__ import annotations

from postmask.doctor.finding import declared, error, notice, warning

OPEN_RELAY = error(
    "PM201",
    "A listener relays for anybody.",
    "Spammers find it within hours, and the host ends on block lists.",
    "Let smtpd_relay_restrictions of that listener end with reject_unauth_destination, and no bare permit "
    "stand before it.",
)
TRUSTED_NETWORKS = error(
    "PM202",
    "The host trusts networks that can't be its own.",
    "Every client in mynetworks may relay.",
    "Name in mynetworks only addresses of machines that are yours.",
)
BARE_NEWLINE = warning(
    "PM203",
    "A listener takes a bare newline for the end of a line.",
    "A message can be smuggled in behind another one, and passes SPF as that sender (CVE-2023-51764).",
    "Set smtpd_forbid_bare_newline = normalize; before 3.9, 3.8.5 and 3.7.10 it is yes. Older ones: upgrade.",
)
UNKNOWN_RECIPIENTS = warning(
    "PM204",
    "Unknown recipients of the host's own domains are accepted.",
    "Postfix bounces them later, to senders who are mostly forged, and the host ends on block lists.",
    "Give the parameter a list of the recipients that there are, or use reject_unverified_recipient.",
)
SOFT_BOUNCE = warning(
    "PM205",
    "Refusals are made temporary: soft_bounce is on.",
    "What should be refused is answered 4xx: unknown aliases are tried for days, and nobody learns of it.",
    "Set soft_bounce = no when you are done with testing.",
)
MESSAGE_SIZE = error(
    "PM206",
    "Postfix takes larger messages than the forwarder does.",
    "They are accepted, and then can't be forwarded.",
    "Lower message_size_limit, or raise forwarder.message_size_limit in postmask.toml.",
)
REINJECT_SIZE = error(
    "PM207",
    "Re-injection takes no larger messages than the front door.",
    "What was accepted can't get out again, for the forwarder adds to its header.",
    "Run postmask postfix attach: it takes over the new message_size_limit.",
)
HEADER_SIZE = warning(
    "PM208",
    "Headers are cut below Postfix's own default.",
    "A long header loses its end before Postmask sees it, evidence or signatures with it.",
    "Let header_size_limit be 102400 or more.",
)
LINE_LENGTH = warning(
    "PM209",
    "Lines are folded below what SMTP allows.",
    "That breaks the DKIM signature of finished mail.",
    "Let smtp_line_length_limit be 998 or 0.",
)
LIFETIME_LONG = warning(
    "PM210",
    "Mail waits in the queue for longer than the ledger remembers it.",
    "What is tried again after that may be delivered twice.",
    "Let maximal_queue_lifetime and bounce_queue_lifetime be 5d or less.",
)
LIFETIME_SHORT = warning(
    "PM211",
    "Mail waits in the queue for less than a day.",
    "An outage of a night makes Postfix return alias mail, or has it held.",
    "Let maximal_queue_lifetime and bounce_queue_lifetime be 1d or more; 5d is the default.",
)
MILTER_ORDER = warning(
    "PM212",
    "Another milter stands before Postmask's.",
    "It may alter what Postmask examines, and works on mail that Postmask would have refused at RCPT.",
    "Let $postmask_smtpd_milters stand first.",
)
MILTER_REJECTS = warning(
    "PM213",
    "A milter that doesn't answer has all mail refused for good.",
    "While it is restarted, mail to aliases bounces at the sender's.",
    "Give it default_action=tempfail or accept (milter_default_action).",
)
MILTER_TIMES = notice(
    "PM214",
    "Milters may take longer than clients wait.",
    "A client that gave up after five minutes for a command, or ten after the final dot, sends again: mail "
    "comes twice.",
    "Give them shorter time-outs: milter_command_timeout, milter_content_timeout.",
)
RECEIVED_DROPPED = warning(
    "PM215",
    "Received fields are taken out of incoming mail.",
    "Without them a message's age isn't known, so that it isn't held before Postfix returns it; one that is "
    "re-queued half delivered comes twice; loops aren't noticed either.",
    "Take that out of header_checks or message_drop_headers; to hide submitting users, give submission a "
    "cleanup service of its own.",
)
GENERIC_MAPS = error(
    "PM216",
    "Our addresses are rewritten by smtp_generic_maps.",
    "Replies and bounces don't come back, and the signature is broken.",
    "Make an exception for our domains there.",
)
FINISHED_HEADERS = warning(
    "PM217",
    "Headers of outgoing mail that our signature covers are altered.",
    "That breaks the DKIM signature of what is forwarded.",
    "Leave these headers alone in smtp_header_checks, or do it in header_checks.",
)
FINISHED_BODIES = notice(
    "PM218",
    "Bodies of outgoing mail pass through checks.",
    "If these alter anything, they break the DKIM signature of what is forwarded.",
    "Let smtp_body_checks, smtp_mime_header_checks and smtp_nested_header_checks alter nothing.",
)
DELAY_WARNING = warning(
    "PM219",
    "Senders are told when their mail is late.",
    "While mail to aliases waits, forged senders get these warnings too.",
    "Set delay_warning_time = 0h.",
)
PROXY_FILTER = notice(
    "PM220",
    "A proxy filter hides content from the milters.",
    "Nothing is refused for its content; the forwarder examines it later. It isn't told of a SASL login.",
    "Nothing need be done where nobody logs in; for who does, a listener without it. A filter that works as "
    "a milter would let mail be refused at once.",
)
NON_SMTPD_MILTERS = notice(
    "PM221",
    "Local submissions pass through milters.",
    "One of them that refuses a single recipient makes the whole message stay in maildrop for ever.",
    "Let these milters refuse nothing, or set non_smtpd_milters empty.",
)
DATABASE_HOST = warning(
    "PM222",
    "A table is in a database on one host.",
    "Before Postfix 3.10 a failed connection makes it useless for a minute, and all mail of the host waits.",
    "Name the host twice in the table's hosts, or a second one; or upgrade Postfix.",
)
TABLE = error(
    "PM223",
    "A table can't be asked.",
    "Postfix defers all mail for which it has to be asked.",
    "See to what it says; postmap -q shows whether it works.",
)
DEPRECATED = notice(
    "PM224",
    "A parameter is deprecated.",
    "A later Postfix won't know it, and does without what it says.",
    "Replace it.",
)
CHECK_WARNS = warning(
    "PM225",
    "Postfix's own check has a warning.",
    "Postfix may not do what its configuration seems to say.",
    "See to what it says; postfix check and postconf repeat it.",
)
VERSION = error(
    "PM226",
    "This Postfix is older than 3.7.",
    "Postmask's tables stand in main.cf itself, which older ones can't read.",
    "Upgrade Postfix.",
)
NOT_RUNNING = error(
    "PM227",
    "Postfix isn't running.",
    "No mail is taken or delivered.",
    "Start it: postfix start, or systemctl start postfix.",
)
NOT_IN_FORCE = error(
    "PM228",
    "The running Postfix doesn't work by the settings in its files.",
    "It may not know all our domains.",
    "Run postfix reload, and see what its log says.",
)
DOMAINS = error(
    "PM229",
    "Postfix doesn't know exactly our domains.",
    "Mail for those that it lacks is refused as relaying; for those too many, our programs refuse it.",
    "Run postmask postfix sync as root; see that its path unit is up: systemctl status "
    "postmask-postfix-sync.path.",
)
ROUTE = error(
    "PM230",
    "A map of the site's outranks ours.",
    "Mail to our aliases goes elsewhere.",
    "Let $postmask_transport_maps stand first in transport_maps.",
)
REWRITTEN = error(
    "PM231",
    "A map of the site's rewrites our addresses.",
    "Mail to our aliases goes elsewhere.",
    "Make an exception for our domains there.",
)
OWN_DOMAIN = error(
    "PM232",
    "A domain of ours is one of the host's own.",
    "Its mailboxes get no mail, or our aliases don't.",
    "Take it out of the parameter, or use a subdomain for aliases.",
)
CHROOT = error(
    "PM233",
    "A chrooted service can't reach our sockets.",
    "For it all our programs are dead: mail to aliases waits.",
    "Have the sockets below the queue directory (sockets.directory), or take the service out of its chroot.",
)
PIPE_USER = error(
    "PM234",
    "There is no user to run the pipe client as.",
    "No mail comes through the pipe door.",
    "Make it with postmask system install, or name another: postfix.pipe_user.",
)
DRIFT = warning(
    "PM235",
    "A setting of Postmask's was changed by hand.",
    "It may no longer do what it is there for.",
    "postmask postfix status shows what it was; postmask postfix attach puts it back.",
)
OUTDATED = warning(
    "PM236",
    "Postmask would set something otherwise now.",
    "Postmask or its configuration was changed since it was attached, or main.cf's limits were.",
    "postmask postfix diff shows it; postmask postfix attach does it.",
)
INTERRUPTED = error(
    "PM237",
    "Attaching or detaching was interrupted.",
    "The files may be half changed; a reload could take that up.",
    "Run postmask postfix status as root: it finishes or undoes it.",
)
UNRECORDED = notice(
    "PM238",
    "There is no record of what attaching found.",
    "Detaching can then only take away what bears our names, not restore what was there byte for byte.",
    "Run postmask postfix attach, which makes one.",
)
NOT_ROOT = notice(
    "PM239",
    "Not run as root, some of Postfix could not be looked at.",
    "What is left out may be wrong.",
    "Run postmask doctor as root.",
)
EIGHT_BIT = warning(
    "PM240",
    "Mail with 8-bit text is sent in 7 bits.",
    "Postfix then encodes the body anew, which breaks the DKIM signature of what is forwarded.",
    "Let smtp_never_send_ehlo be no, and leave 8bitmime out of smtp_discard_ehlo_keywords.",
)
CLIENT_HIDDEN = warning(
    "PM241",
    "What comes back from a filter seems to come from this host.",
    "Where the scan milter could leave no evidence (a proxy filter, a recipient that isn't ours, the milter "
    "down) forged mail is delivered although its domain says p=reject, and SPF proves no reply.",
    "Give the listener that takes it back smtpd_authorized_xforward_hosts=127.0.0.0/8, and the service that "
    "hands it to a content_filter smtp_send_xforward_command=yes (lmtp_send_xforward_command).",
)
RELAYED = warning(
    "PM242",
    "A domain of ours is one that the host itself relays.",
    "Where its mail would go without Postmask (another server, mailing lists) none goes: what isn't an alias "
    "is refused.",
    "Take it out of relay_domains; if it has mailboxes or lists, use a subdomain for aliases.",
)
GATE_ORDER = warning(
    "PM243",
    "What may let mail in stands before Postmask's gate.",
    "Whom it lets in the gate isn't asked about: while our programs are down, their mail to unknown aliases "
    "is taken, to be held or bounced later.",
    "Let $postmask_smtpd_recipient_restrictions stand first; only what refuses may stand before it.",
)

CODES = declared(globals())
