"""The master.cf services that Postmask wants: the one place where they are written down.

Two doors to the forwarder, `postmask` and `postmask-lmtp`, each behind its fence; and the way back, the
listeners `postmask-reinject` and `postmask-hold` with a cleanup of their own.

STANDARDS
    master(5), pipe(8), lmtp(8), smtpd(8), cleanup(8); RFC 3463 for the fence's codes.
"""

from __future__ import annotations

from postmask_postfix.settings import GENERATION, Option, Service

_PEER = "127.0.0.0/8, [::1]/128"
"""What smtpd(8) takes the peer of a Unix socket for: of IPv4, unless inet_protocols is ipv6 alone."""

_REINJECT_OPTIONS = (
    Option("syslog_name", "postfix/<service>", "Shows re-injection in the log for what it is."),
    Option("smtpd_banner", f"$myhostname ESMTP ${{{GENERATION}}}", "Shows which settings are in force."),
    Option("cleanup_service_name", "postmask-cleanup", "Nothing may touch a message that is signed."),
    Option("smtpd_client_restrictions", "", "The site's restrictions were asked at the front door."),
    Option("smtpd_helo_restrictions", "", "As above."),
    Option("smtpd_sender_restrictions", "", "As above."),
    Option("mynetworks", _PEER, "What smtpd takes the peer of a Unix socket for."),
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
    Option("message_size_limit", "<reinject_size_limit>", "Above the outer limit, for the headers we add."),
    Option("smtpd_authorized_xforward_hosts", _PEER, "XFORWARD IDENT joins the queue ids in the log."),
    Option("smtpd_authorized_xclient_hosts", "", "Nobody plays another client here."),
    Option("smtpd_sasl_auth_enable", "no", "Nobody logs in here."),
    Option("smtpd_tls_security_level", "none", "A Unix socket needs no TLS."),
    Option("smtpd_tls_wrappermode", "no", "As above."),
    Option("smtpd_upstream_proxy_protocol", "", "No proxy stands in front of this socket."),
    Option("smtpd_client_event_limit_exceptions", _PEER, "Our own client is not an abuser."),
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
                r"regexp:{ {if !/^5\.[0-9]+\.[0-9]+ host [^ ]+ said: 5[0-9]+ 5\.[0-9]+\.[0-9]+ postmask: /}"
                r" {/^5(\.[0-9]+\.[0-9]+ .*)$$/ 4$$1} {endif} }",
                "The fence, as on the pipe door.",
            ),
            Option("lmtp_line_length_limit", "0", "Lines over 998 octets are not ours to fold."),
            Option("lmtp_send_xforward_command", "yes", "Brings the client's address and the queue id."),
            Option("lmtp_discard_lhlo_keywords", "", "The forwarder's offers hold."),
            Option("lmtp_discard_lhlo_keyword_address_maps", "", "As above."),
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
            Option("lmtp_per_request_deadline", "no", "The times above are between two reads or writes."),
            Option("lmtp_tls_security_level", "none", "A Unix socket needs no TLS."),
            Option("lmtp_tls_policy_maps", "", "As above."),
            Option("lmtp_tls_wrappermode", "no", "As above."),
            Option("lmtp_sasl_auth_enable", "no", "The forwarder knows its peers by their uid."),
            Option("lmtp_header_checks", "", "The site's checks are not meant for this hop."),
            Option("lmtp_mime_header_checks", "", "As above."),
            Option("lmtp_nested_header_checks", "", "As above."),
            Option("lmtp_body_checks", "", "As above."),
            Option("lmtp_reply_filter", "", "The forwarder's answers are heard as they are."),
            Option("lmtp_fallback_relay", "", "What the forwarder can't take now waits for it."),
            Option("lmtp_generic_maps", "", "The forwarder must see the addresses as they came."),
            Option("lmtp_quote_rfc821_envelope", "yes", "What is an address in quotes alone keeps them."),
        ),
    ),
    Service(
        "postmask-reinject",
        private=False,
        processes="0",
        command="smtpd",
        why="Where the forwarder hands in what it made. A Unix socket: any local user reaches a TCP port. No"
        " limit but the forwarder's own: a connection that it keeps has a process to itself, and who comes"
        " then must not wait for that.",
        since="3.7",
        options=_REINJECT_OPTIONS,
    ),
    Service(
        "postmask-hold",
        private=False,
        processes="0",
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
            Option("message_drop_headers", "", "As above."),
            Option("message_strip_characters", "", "As above."),
            Option("message_reject_characters", "", "A refusal here would only make it wait for ever."),
            Option("strict_7bit_headers", "no", "As above."),
            Option("strict_8bitmime", "no", "As above."),
            Option("strict_8bitmime_body", "no", "As above."),
            Option("strict_mime_encoding_domain", "no", "As above."),
            Option("always_add_missing_headers", "no", "As above: the message is finished."),
            Option("undisclosed_recipients_header", "", "As above."),
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
