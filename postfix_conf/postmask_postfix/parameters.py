"""The main.cf parameters that Postmask wants: the one place where they are written down.

STANDARDS
    postconf(5), SMTPD_POLICY_README, MILTER_README, and qmgr(8) for the transports' limits.
"""

from __future__ import annotations

from postmask_postfix.settings import DOMAINS, HOST_DOMAINS, Merge, Parameter

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
        f"check_recipient_access regexp:{{ {{/@(${{{DOMAINS}}})$$/ postmask_gate}}"
        f" {{if !/@(${{{HOST_DOMAINS}}})$$/}} {{/\\.(${{{DOMAINS}}})$$/ postmask_gate}} {{endif}} }}",
        Merge.PREPEND,
        "First, because behind a permit_mynetworks an unknown alias is accepted while the milter is dead.",
        "3.7",
    ),
    Parameter(
        "smtpd_milters",
        "{ unix:<sockets>/alias.sock, protocol=6, default_action=accept, connect_timeout=1s,"
        " command_timeout=2s, content_timeout=3s },"
        " { unix:<sockets>/scan.sock, protocol=6, default_action=accept, connect_timeout=1s,"
        " command_timeout=2s, content_timeout=<scan_seconds>s }",
        Merge.PREPEND,
        "The same verdict for listeners without a gate; dead, it lets all pass, and the gate catches ours."
        " Then what examines messages; dead, the forwarder does. The last time-out is above spam.budget. By"
        " an old milter_protocol of the site's (2) the scan milter would take all mail for ours.",
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
        f"regexp:{{ {{/^(${{{DOMAINS}}})$$/ 1}}"
        f" {{if !/^(${{{HOST_DOMAINS}}})$$/}} {{/\\.(${{{DOMAINS}}})$$/ 1}} {{endif}} }}",
        Merge.APPEND,
        "Lets smtpd accept our domains; and what lies below them and isn't the host's, which the gate refuses"
        " with 5.1.2.",
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
        "postmask_transport_rate_delay",
        "0s",
        Merge.SET,
        "As above, where the host-wide delay is that of a whole transport.",
        "3.1",
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
    Parameter(
        "postmask-lmtp_transport_rate_delay",
        "0s",
        Merge.SET,
        "As above, where the host-wide delay is that of a whole transport.",
        "3.1",
    ),
)
