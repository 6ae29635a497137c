"""The wanted Postfix settings, as data: the one place where they are written down.

PARAMETERS are main.cf parameters, SERVICES are master.cf services. Each says why it is there, since
which Postfix it can be used, and how it meets what the site has: lists are merged, never replaced.
`postmask_postfix.render` turns them into lines; the lab, and everything that attaches Postmask to a
Postfix, renders from here.

A value is in Postfix's own syntax, `$$` being one `$`. `<name>` in angle brackets stands for an
attribute of SettingsContext and is filled in by the renderer.

STANDARDS
    postconf(5), master(5), pipe(8), lmtp(8), smtpd(8), cleanup(8); RFC 3463 for the fence's codes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Merge(enum.StrEnum):
    """How a parameter meets the site's own value."""

    SET = "set"
    """Ours alone: a parameter that nobody else has."""
    PREPEND = "prepend"
    """A list; ours stands first, for Postfix asks in order."""
    APPEND = "append"
    """A list; ours stands last."""
    APPEND_IF_SET = "append-if-set"
    """A list that is extended only where the site has one: an empty one means "not checked"."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A main.cf parameter. since: the first Postfix release that knows it in this form."""

    name: str
    value: str
    merge: Merge
    why: str
    since: str


@dataclass(frozen=True, slots=True)
class Option:
    """One `-o name = value` of a service."""

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Service:
    """A master.cf service of type unix, never chrooted.

    private: whether the socket lies in `private` (Postfix's own programs only) or in `public`.
    processes: the cap on processes, as a template. arguments: what pipe(8) wants after the options.
    """

    name: str
    private: bool
    processes: str
    command: str
    why: str
    since: str
    unprivileged: bool = True
    options: tuple[Option, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsContext:
    """What differs from host to host.

    door:               name of the service that our domains are routed to: "pipe" or "lmtp".
    sockets:            folder of our sockets, relative to the queue directory: serves chrooted
                        and unchrooted Postfix daemons alike.
    pipe_user:          "user" or "user:group" that pipe(8) starts the client as.
    pipe_argv:          the client's command, up to and without the macros.
    pipe_processes:     cap on clients at once, the only one there is with recipient limit 1.
    lmtp_processes:     cap on lmtp(8) processes.
    message_size_limit: the host's limit in octets; re-injection takes 1 MB more, for our headers.
    """

    door: str
    pipe_argv: tuple[str, ...]
    pipe_user: str = "postmask-pipe"
    sockets: str = "postmask"
    pipe_processes: int = 8
    lmtp_processes: int = 8
    message_size_limit: int = 10_240_000

    def __post_init__(self) -> None:
        if self.door not in NEXTHOPS:
            raise ValueError(f"door must be one of {', '.join(NEXTHOPS)}, not {self.door!r}")

    @property
    def nexthop(self) -> str:
        """What transport_maps answers for our domains."""
        return NEXTHOPS[self.door].replace("<sockets>", self.sockets)

    @property
    def reinject_size_limit(self) -> int:
        """The limit at re-injection: a message that was let in must get out again. 0 is no limit."""
        return self.message_size_limit + 1_048_576 if self.message_size_limit else 0


NEXTHOPS = {"pipe": "postmask:", "lmtp": "postmask-lmtp:unix:<sockets>/forwarder.sock"}

DOMAINS = "postmask_domains"
"""The parameter that holds our domains, as one alternation of a POSIX extended regular expression."""

GENERATION = "postmask_generation"
"""The parameter whose value the re-injection listener greets with: shows which settings are in force."""

PARAMETERS = (
    Parameter(
        "postmask_gate",
        "check_policy_service { unix:<sockets>/gate.sock, timeout=2s, try_limit=2, retry_delay=1s,"
        " { default_action = 451 4.3.0 try again later } }",
        Merge.SET,
        "The gate's verdict; dead or hung, our recipients wait (451) and nobody else's do. Two tries: with"
        " one, an smtpd whose connection was lost once never opens another and defers until it ends.",
        "3.0",
    ),
    Parameter(
        "smtpd_restriction_classes",
        "postmask_gate",
        Merge.APPEND,
        "Makes the gate a class that an access table can name, so that only our recipients reach it.",
        "2.0",
    ),
    Parameter(
        "smtpd_recipient_restrictions",
        f"check_recipient_access regexp:{{ {{/[@.](${{{DOMAINS}}})$$/ postmask_gate}} }}",
        Merge.PREPEND,
        "First, because behind a permit_mynetworks an unknown alias is accepted while the milter is dead.",
        "3.7",
    ),
    Parameter(
        "smtpd_milters",
        "{ unix:<sockets>/alias.sock, default_action=accept, connect_timeout=1s, command_timeout=2s,"
        " content_timeout=3s }",
        Merge.PREPEND,
        "The same verdict for listeners without a gate. Dead, it lets all pass; the gate catches ours.",
        "3.0",
    ),
    Parameter(
        "transport_maps",
        f"regexp:{{ {{/@(${{{DOMAINS}}})$$/ <nexthop>}} }}",
        Merge.PREPEND,
        "Routes our domains to the door; first, because a site's regexp: or static: map would win otherwise.",
        "3.7",
    ),
    Parameter(
        "relay_domains",
        f"regexp:{{ {{/^(.*\\.)?(${{{DOMAINS}}})$$/ 1}} }}",
        Merge.APPEND,
        "Lets smtpd accept our domains, and their subdomains, which the gate refuses with 5.1.2.",
        "3.7",
    ),
    Parameter(
        "relay_recipient_maps",
        f"regexp:{{ {{/@(${{{DOMAINS}}})$$/ 1}} }}",
        Merge.APPEND_IF_SET,
        "Where the site lists its relay recipients ours would be unknown; where it doesn't, a list of ours"
        " would make the site's own recipients unknown.",
        "3.7",
    ),
    Parameter(
        "postmask_destination_recipient_limit",
        "1",
        Merge.SET,
        "pipe(8) has one exit status, so one recipient a delivery.",
        "2.0",
    ),
    Parameter(
        "postmask_destination_concurrency_limit",
        "20",
        Merge.SET,
        "A host-wide limit would apply to us; with recipient limit 1 the real cap is the process limit.",
        "2.0",
    ),
    Parameter(
        "postmask_initial_destination_concurrency",
        "20",
        Merge.SET,
        "Deliveries to one alias needn't start slowly: the other end is on this host.",
        "2.5",
    ),
    Parameter(
        "postmask_destination_rate_delay",
        "0s",
        Merge.SET,
        "A host-wide delay between deliveries would apply to each of our recipients.",
        "2.5",
    ),
    Parameter(
        "postmask_time_limit",
        "60s",
        Merge.SET,
        "Above the client's own deadline, so that the client answers and not the axe; the default is 1000s.",
        "2.0",
    ),
    Parameter(
        "postmask-lmtp_destination_recipient_limit",
        "50",
        Merge.SET,
        "Not 1: with 1 each recipient is a destination, a hung forwarder is never noticed as dead, and the"
        " host's other mail waits behind ours.",
        "2.0",
    ),
    Parameter(
        "postmask-lmtp_destination_concurrency_limit",
        "20",
        Merge.SET,
        "A host-wide limit would apply to us; all our domains are one destination.",
        "2.0",
    ),
    Parameter(
        "postmask-lmtp_initial_destination_concurrency",
        "8",
        Merge.SET,
        "One dead destination is noticed soon, yet a burst needn't start slowly.",
        "2.5",
    ),
    Parameter(
        "postmask-lmtp_destination_rate_delay",
        "0s",
        Merge.SET,
        "A host-wide delay would serialise all our mail.",
        "2.5",
    ),
)

_REINJECT_OPTIONS = (
    Option("syslog_name", "postfix/<service>", "Shows re-injection in the log for what it is."),
    Option("smtpd_banner", f"$myhostname ESMTP ${{{GENERATION}}}", "Shows which settings are in force."),
    Option("cleanup_service_name", "postmask-cleanup", "Nothing may touch a message that is signed."),
    Option("smtpd_client_restrictions", "", "The site's restrictions were asked at the front door."),
    Option("smtpd_helo_restrictions", "", "As above."),
    Option("smtpd_sender_restrictions", "", "As above."),
    Option("mynetworks", "127.0.0.0/8", "What smtpd takes the peer of a Unix socket for."),
    Option("smtpd_relay_restrictions", "permit_mynetworks, reject", "Only the socket's users can come here."),
    Option("smtpd_recipient_restrictions", "", "No gate here: a release must not be judged again."),
    Option("smtpd_data_restrictions", "", "As the site's other restrictions."),
    Option("smtpd_end_of_data_restrictions", "", "As above."),
    Option("smtpd_delay_reject", "yes", "The default, which the hold listener relies on."),
    Option("smtpd_helo_required", "no", "Spares a refusal for form's sake."),
    Option("smtpd_command_filter", "", "A site's filter could alter what we say."),
    Option("smtpd_discard_ehlo_keywords", "", "We need 8BITMIME, SMTPUTF8, DSN and XFORWARD."),
    Option("smtpd_discard_ehlo_keyword_address_maps", "", "As above."),
    Option("smtpd_reject_unlisted_recipient", "no", "A vanished mailbox must bounce to us, not wait."),
    Option("smtpd_reject_unlisted_sender", "no", "Bounce addresses are in no list."),
    Option("smtpd_milters", "", "No milter may change or refuse a finished message."),
    Option("smtpd_proxy_filter", "", "As above."),
    Option("content_filter", "", "As above; a filter would also send it round in a circle."),
    Option(
        "receive_override_options",
        "no_milters, no_header_body_checks",
        "As above. Not no_address_mappings: the host's own virtual aliases must still work.",
    ),
    Option("local_header_rewrite_clients", "", "Header addresses are complete; the signature covers them."),
    Option("remote_header_rewrite_domain", "", "As above."),
    Option("strict_rfc821_envelopes", "no", "Addresses were parsed by us; a space more is no reason."),
    Option("smtputf8_enable", "yes", "Internationalised addresses pass as they came."),
    Option("message_size_limit", "<reinject_size_limit>", "Above the outer limit, for the headers we add."),
    Option(
        "smtpd_authorized_xforward_hosts", "127.0.0.0/8", "XFORWARD IDENT joins the queue ids in the log."
    ),
    Option("smtpd_authorized_xclient_hosts", "", "Nobody plays another client here."),
    Option("smtpd_sasl_auth_enable", "no", "Nobody logs in here."),
    Option("smtpd_tls_security_level", "none", "A Unix socket needs no TLS."),
    Option("smtpd_upstream_proxy_protocol", "", "No proxy stands in front of this socket."),
    Option("smtpd_client_event_limit_exceptions", "127.0.0.0/8", "Our own client is not an abuser."),
    Option("smtpd_timeout", "300s", "A pooled connection may idle; a stressed host's 10s would cut it."),
    Option("smtpd_soft_error_limit", "100", "One refused recipient must not slow the next message down."),
    Option("smtpd_hard_error_limit", "1000", "As above."),
    Option("smtpd_error_sleep_time", "0s", "As above."),
)

_HOLD_OPTIONS = tuple(
    Option(
        "smtpd_client_restrictions",
        "check_client_access static:HOLD, permit",
        "Puts every message that comes this way on hold.",
    )
    if option.name == "smtpd_client_restrictions"
    else option
    for option in _REINJECT_OPTIONS
)

SERVICES = (
    Service(
        "postmask",
        private=True,
        processes="<pipe_processes>",
        command="pipe",
        unprivileged=False,
        why="The pipe door: hands one recipient's message to the forwarder. eol: pipe(8) would hand over bare"
        " LF; null_sender: an empty word and not MAILER-DAEMON; q: local parts quoted as SMTP wants them.",
        since="3.7",
        options=(
            Option(
                "pipe_delivery_status_filter",
                r"regexp:{ {if !/^5\.[1-9][0-9]*\.[0-9]+ postmask: /}"
                r" {/^5(\.[0-9]+\.[0-9]+ .*)$$/ 4$$1} {endif} }",
                "The fence: a permanent failure without our mark becomes a deferral, and so does 5.0.0, which"
                " pipe(8) itself makes of 2.x.y with a failure status. Inline, since a missing file would let"
                " the bounces out.",
            ),
        ),
        arguments=(
            "flags=q",
            "user=<pipe_user>",
            r"eol=\r\n",
            "null_sender=",
            "argv=<pipe_command>",
        ),
    ),
    Service(
        "postmask-lmtp",
        private=True,
        processes="<lmtp_processes>",
        command="lmtp",
        why="The lmtp door: the same forwarder, one connection for many recipients.",
        since="3.7",
        options=(
            Option(
                "lmtp_delivery_status_filter",
                r"regexp:{ {if !/^5\.[0-9]+\.[0-9]+ host [^ ]+ said: 5[0-9][0-9] 5\.[0-9]+\.[0-9]+ postmask: /}"
                r" {/^5(\.[0-9]+\.[0-9]+ .*)$$/ 4$$1} {endif} }",
                "The fence, as on the pipe door.",
            ),
            Option("lmtp_line_length_limit", "0", "Lines over 998 octets are not ours to fold."),
            Option("lmtp_send_xforward_command", "yes", "Brings the client's address and the queue id."),
            Option("lmtp_discard_lhlo_keywords", "", "The forwarder's offers hold."),
            Option("lmtp_connect_timeout", "3s", "A hung forwarder must not make the host's mail wait."),
            Option("lmtp_lhlo_timeout", "3s", "As above."),
            Option("lmtp_xforward_timeout", "3s", "As above."),
            Option("lmtp_mail_timeout", "3s", "As above."),
            Option("lmtp_rcpt_timeout", "3s", "As above."),
            Option("lmtp_data_init_timeout", "3s", "As above."),
            Option("lmtp_data_xfer_timeout", "30s", "The time between two writes of the content."),
            Option("lmtp_data_done_timeout", "30s", "Above the forwarder's own deadline."),
            Option("lmtp_rset_timeout", "3s", "As above."),
            Option("lmtp_quit_timeout", "3s", "As above."),
            Option("lmtp_tls_security_level", "none", "A Unix socket needs no TLS."),
            Option("lmtp_sasl_auth_enable", "no", "The forwarder knows its peers by their uid."),
            Option("lmtp_header_checks", "", "The site's checks are not meant for this hop."),
            Option("lmtp_generic_maps", "", "The forwarder must see the addresses as they came."),
        ),
    ),
    Service(
        "postmask-reinject",
        private=False,
        processes="20",
        command="smtpd",
        why="Where the forwarder hands in what it made. A Unix socket: any local user reaches a TCP port.",
        since="3.7",
        options=_REINJECT_OPTIONS,
    ),
    Service(
        "postmask-hold",
        private=False,
        processes="20",
        command="smtpd",
        why="The same for finished copies that are to be held: a release sends them without judging again.",
        since="3.7",
        options=_HOLD_OPTIONS,
    ),
    Service(
        "postmask-cleanup",
        private=False,
        processes="0",
        command="cleanup",
        why="Re-injection's own cleanup: nothing is copied, renamed or checked; virtual aliases are kept.",
        since="3.7",
        options=(
            Option("syslog_name", "postfix/<service>", "Shows re-injection in the log for what it is."),
            Option("always_bcc", "", "The site's copy was made at the front door."),
            Option("sender_bcc_maps", "", "As above."),
            Option("recipient_bcc_maps", "", "As above."),
            Option("canonical_maps", "", "Reverse aliases and bounce addresses stay as they are."),
            Option("sender_canonical_maps", "", "As above."),
            Option("recipient_canonical_maps", "", "As above."),
            Option("masquerade_domains", "", "As above."),
            Option("header_checks", "", "The message is finished and signed."),
            Option("mime_header_checks", "", "As above."),
            Option("nested_header_checks", "", "As above."),
            Option("body_checks", "", "As above."),
            Option("message_strip_characters", "", "As above."),
            Option("message_reject_characters", "", "A refusal here would only make it wait for ever."),
            Option("strict_7bit_headers", "no", "As above."),
            Option("strict_8bitmime", "no", "As above."),
            Option("strict_8bitmime_body", "no", "As above."),
            Option("strict_mime_encoding_domain", "no", "As above."),
            Option("always_add_missing_headers", "no", "As above: the message is finished."),
            Option("header_size_limit", "1048576", "A field that was let in and grew must not be cut."),
            Option("hopcount_limit", "100", "The outer limit has counted; refused here it never leaves."),
            Option("message_size_limit", "<reinject_size_limit>", "As at the listener."),
        ),
    ),
)

WORDS = (
    "socket=<sockets>/forwarder.sock",
    "stamp=<sockets>/pipe/stamp",
    "queue_id=${queue_id}",
    "client_address=${client_address}",
    "client_hostname=${client_hostname}",
    "client_helo=${client_helo}",
    "client_port=${client_port}",
    "client_protocol=${client_protocol}",
    "sasl_username=${sasl_username}",
    "sender=${sender}",
    "recipient=${recipient}",
)
"""What the client is told after `--`, each a word of its own: never inside a shell's text. It runs in the
queue directory; the stamp's folder is the client's own."""
