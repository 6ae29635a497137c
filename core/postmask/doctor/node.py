"""What can be wrong with Postmask itself on a node: its settings, keys, database, files and programs."""

from __future__ import annotations

from postmask.doctor.finding import declared, error, notice, warning

SETTINGS = error(
    "PM101",
    "The configuration file can't be used.",
    "No program of Postmask starts with it, and nothing else could be looked at.",
    "Correct what it says; postmask config check tells all of it.",
)
KEYS = error(
    "PM102",
    "The master secrets can't be read.",
    "Without them no program can tell its own addresses from forged ones, and none starts.",
    "Put the file of secrets back (keys.file), root's, mode 0600: from its backup, another node, or, as long "
    "as the programs weren't started anew, from /run/credentials/postmask-forwarder.service/keys. "
    "On the first node of all run postmask keys init.",
)
DATABASE = error(
    "PM103",
    "The database can't be asked.",
    "Known aliases go on by the replica, if there is one; unknown addresses are asked to try again.",
    "See that it runs, and that database.url and database.owner_url are right: postmask db status.",
)
SCHEMA = error(
    "PM104",
    "The database's schema isn't this program's.",
    "Nothing is written to it, and known aliases go on by the replica alone.",
    "postmask db status tells which is older: run postmask db upgrade, or upgrade Postmask on this machine.",
)
NOT_IN_USE = error(
    "PM105",
    "The database isn't the one in use.",
    "It was moved, or is being moved: what is changed here is lost.",
    "Let database.url and database.owner_url name the one in use.",
)
MAILBOX_PAUSED = warning(
    "PM106",
    "A mailbox is paused.",
    "Mail to its aliases waits, and is returned or held when the queue's lifetime ends.",
    "When the mailbox takes mail again: postmask mailbox resume ADDRESS.",
)
CLOCK = error(
    "PM107",
    "This machine's clock and the database's differ.",
    "Proofs of replies, rates and expiry go by the clock.",
    "Have both set by NTP.",
)
NODE_SILENT = error(
    "PM108",
    "A node wasn't heard of for long, or from the future.",
    "What it has learned, its contacts and bounces, reaches no other node; or its clock is wrong.",
    "Start postmask-agent there, and set its clock.",
)
REPLICA = error(
    "PM109",
    "The node's copy of the directory can't be used, or isn't kept up to date.",
    "When the database goes away, mail to aliases waits, or goes by what was true long ago.",
    "See that postmask-agent runs, and what its log says of the replica.",
)
SPOOL = error(
    "PM110",
    "The spool isn't there or can't be read.",
    "The forwarder defers all mail without it.",
    "See that postmask-forwarder runs, and that spool.path names its file.",
)
OUTBOX_REFUSED = warning(
    "PM111",
    "The database refuses something that this node has learned.",
    "A contact or bounce may be missing on other nodes.",
    "The log of postmask-agent says which and why (outbox.refused).",
)
COPIES_STUCK = error(
    "PM112",
    "Copies of messages wait to be sent for long.",
    "Their messages were taken from Postfix in part only; it tries again until its queue's lifetime ends.",
    "The log of postmask-forwarder says what keeps them; so does postmask trace QUEUE-ID.",
)
COPY_TROUBLED = warning(
    "PM113",
    "A copy of a message could not be sent as it should.",
    "Its owner may be missing it.",
    "postmask trace QUEUE-ID tells its story.",
)
PROGRAM = error(
    "PM114",
    "A program can't be reached on its socket, doesn't answer there, or turns mail away.",
    "Mail to aliases waits until it does; for the scan milter alone the forwarder stands in.",
    "Start it, or restart it if it hangs: systemctl status 'postmask-*' and its log say why it isn't up, or "
    "lacks threads or descriptors. If it runs and its socket's file is gone: systemctl stop 'postmask-*', "
    "then postmask system install.",
)
QUEUE_ENDING = error(
    "PM115",
    "Postfix is about to return mail that waits for the forwarder.",
    "A bounce with the message in it goes to a sender who may be forged.",
    "Start postmask-forwarder; or put the message on hold: postsuper -h QUEUE-ID. Once it runs, postsuper -H "
    "QUEUE-ID: nothing else lists or releases what was put on hold by hand.",
)
QUEUE = warning(
    "PM116",
    "Postfix's queue can't be looked at.",
    "Mail that waits for the forwarder is not noticed.",
    "Run this as root, and see that Postfix runs.",
)
SPAM_ENGINE = warning(
    "PM117",
    "A spam engine doesn't answer.",
    "Mail goes on by spam.when_unscanned, once no other engine answers.",
    "Start it, or take it out of spam.engines: postmask spam status.",
)
SPAM_BYPASS = warning(
    "PM118",
    "The switch that leaves out all spam checks is on.",
    "Spam is forwarded as it comes.",
    "To end that: postmask spam bypass off.",
)
DISK = error(
    "PM119",
    "A disk on which mail depends is full, nearly so, or read-only.",
    "Postfix takes no mail then, or the forwarder defers all.",
    "Make room there, or mount it so that it can be written.",
)
POSTFIX = error(
    "PM120",
    "There is no Postfix with the configured folder.",
    "No mail comes in here.",
    "Let postfix.config_dir name the folder of main.cf and master.cf.",
)
NOT_ATTACHED = error(
    "PM121",
    "Postmask isn't attached to this node's Postfix.",
    "No mail for our domains comes in here.",
    "postmask postfix attach; postmask postfix diff shows what that changes.",
)
SPAM_FOLDER = warning(
    "PM122",
    "The folder of the switch and of the programs' figures isn't there.",
    "postmask spam bypass on fails, and spam status knows of no program.",
    "Make it, for the programs' user; or let spam.directory name another.",
)
DRAINED = warning(
    "PM123",
    "This node is drained, and somebody seems to have forgotten it; or its switch can't be read.",
    "Senders are told to try the next server. Where there is none, their mail waits with them.",
    "To take mail again, and to write the switch anew: postmask node resume.",
)
SECRETS = error(
    "PM124",
    "The database holds what other master secrets made.",
    "Nodes with different secrets take each other's reverse aliases for forged and refuse replies.",
    "Put the same file of secrets (keys.file) on every node, and restart the programs. If that is lost "
    "for good: domain edit --add-key and --drop-key for each domain, contact replace for each contact.",
)
SOCKET_RIGHTS = error(
    "PM125",
    "A program can't be reached by the user who has to.",
    "To that user it is as if dead: mail to aliases waits.",
    "Give the folder of the sockets and those above it the rights that postmask system install gives them.",
)
PROC = error(
    "PM126",
    "The pipe client can't see in /proc whether Postfix is still alive.",
    "It then defers every message, lest half a message be taken for a whole one.",
    "Mount /proc without hidepid, or with a gid= that the user of postfix.pipe_user has; or use door = lmtp.",
)
PIPE_CLIENT = error(
    "PM127",
    "The pipe client can't be run by its user, or isn't of this version.",
    "Mail to aliases waits, or is handed over in an old way.",
    "Run postmask postfix attach, which puts it in its place; its folder must be open to that user.",
)
SECRETS_DIFFER = error(
    "PM128",
    "A node works with other master secrets than this one.",
    "Each takes the other's reverse aliases and bounce addresses for forged: replies are refused, and "
    "bounces are lost.",
    "Put the same file of secrets (keys.file) on every node, and restart the programs there.",
)
SECRETS_UNSAID = notice(
    "PM129",
    "A node hasn't said yet with which master secrets it works.",
    "Whether they are those of this node isn't known.",
    "See that postmask-milter and postmask-agent run there, in this version: postmask node list.",
)
SECRETS_WAITING = warning(
    "PM130",
    "The programs of this node don't work with the master secrets that are in the file.",
    "A new secret is of no use yet; and what is wrong with the file shows only when they are started again.",
    "Restart them: systemctl restart 'postmask-*.service'; after postmask keys rotate on every node, then "
    "comes postmask keys rotate --sign.",
)

READ_ONLY = error(
    "PM131",
    "The database takes no writes.",
    "Known aliases go on; what the nodes learn waits in their spools, and nothing can be changed.",
    "Let database.url and database.owner_url name the primary; is it that one, see its "
    "default_transaction_read_only, and whether its disk is full.",
)
OUTBOX_WAITS = error(
    "PM132",
    "What this node has learned doesn't reach the database.",
    "Other nodes don't know its new contacts, and refuse replies to them.",
    "The log of postmask-agent says what keeps it (outbox.waits).",
)
HOLD_KEEP = warning(
    "PM133",
    "What is on hold never expires: hold.keep doesn't fit this Postfix.",
    "postmask held expire fails each time: held mail stays for good, and nobody is told of it.",
    "Leave hold.keep out of postmask.toml, or set it below half of maximal_queue_lifetime.",
)

CODES = declared(globals())
