"""What can be wrong with the DNS records of our domains (PM4xx)."""

from __future__ import annotations

from postmask.doctor.finding import declared, error, notice, warning

_PUBLISH = "Publish what postmask domain dns DOMAIN prints."

DEAD = error(
    "PM401",
    "The DNS doesn't answer.",
    "Nothing could be looked at. Mail is neither sent nor authenticated while that is so.",
    "See that the servers of dns.nameservers, or else of /etc/resolv.conf, run and take questions from here.",
)
UNANSWERED = warning(
    "PM402",
    "Some of a domain's records could not be looked up.",
    "Whoever sends to it may have the same trouble, and what is there isn't known.",
    "If that stays so, see whether all name servers of the domain answer.",
)
MX_MISSING = error(
    "PM403",
    "The domain has no mail exchanger.",
    "Its mail goes to the host of that very name, if there is one, or is returned.",
    _PUBLISH,
)
MX_NULL = error(
    "PM404",
    "The domain says that it takes no mail (null MX).",
    "Senders return mail to its aliases at once (RFC 7505).",
    'Take the record with the host "." away. ' + _PUBLISH,
)
MX_ELSEWHERE = error(
    "PM405",
    "None of the domain's mail exchangers is a node of ours.",
    "Its mail never comes here.",
    _PUBLISH + " A load balancer in front of the nodes: name it in doctor.exchangers.",
)
MX_FOREIGN = warning(
    "PM406",
    "One of the domain's mail exchangers isn't a node of ours.",
    "It takes mail without knowing the aliases: what we refuse it returns to forged senders.",
    "Take it away; or name it in doctor.exchangers, if it knows what to accept.",
)
MX_UNRESOLVED = error(
    "PM407",
    "A mail exchanger has no address.",
    "Senders pass it over, or return the mail where it is the only one.",
    "Give its name an A or AAAA record, or take the MX record away.",
)
MX_LITERAL = error(
    "PM408",
    "A mail exchanger is an IP address.",
    "It must be a host's name (RFC 1035 §3.3.9); most senders won't deliver.",
    "Publish the name of the host instead.",
)
MX_ALIAS = warning(
    "PM409",
    "A mail exchanger is another name (CNAME) of a host.",
    "It must not be (RFC 2181 §10.3); some senders won't deliver.",
    "Publish the name that has the addresses.",
)
MX_PRIVATE = error(
    "PM410",
    "A mail exchanger has an address that can't be reached from outside.",
    "Senders that try it come to a host of their own network, or to none.",
    "Publish the outside address alone; for the inside, answer differently there.",
)
SPF_MISSING = error(
    "PM411",
    "The domain has no SPF record.",
    "Large providers refuse or mark what is forwarded by it, and anybody can send as it.",
    _PUBLISH,
)
SPF_SEVERAL = error(
    "PM412",
    "The domain has more than one SPF record.",
    "That is an error for whoever checks (RFC 7208 §4.5): none of them counts.",
    "Make one record of them: one v=spf1, all the mechanisms, one all at its end.",
)
SPF_BROKEN = error(
    "PM413",
    "The domain's SPF record can't be read, or something that it refers to.",
    "That is an error for whoever checks: it counts as none, or the mail is refused.",
    "Correct it; mechanisms are named in RFC 7208 §5.",
)
SPF_LOOKUPS = error(
    "PM414",
    "The domain's SPF record takes too many look-ups.",
    "More than 10 terms that need one, or 2 without an answer, are an error for whoever checks "
    "(RFC 7208 §4.6.4).",
    "Take out includes that aren't used, or name their networks: ip4:, ip6:.",
)
SPF_EXCLUDES = error(
    "PM415",
    "The domain's SPF record doesn't let this host send.",
    "What is forwarded by the domain fails SPF, and is refused or marked where that counts.",
    "Name the address in the record (mx where it is a mail exchanger's, else ip4: or ip6:).",
)
SPF_OPEN = error(
    "PM416",
    "The domain's SPF record lets anybody send.",
    "Whoever sends as the domain passes SPF and DMARC.",
    "Let the record end in -all, and take out mechanisms that match every address.",
)
DKIM_MISSING = error(
    "PM417",
    "The key that signs for the domain isn't published.",
    "No signature of ours can be verified: forwarded mail fails DMARC where SPF doesn't hold.",
    _PUBLISH,
)
DKIM_DIFFERS = error(
    "PM418",
    "What is published isn't the key that signs for the domain.",
    "Every signature of ours is taken for a forgery.",
    _PUBLISH + " If that looks the same, a character was lost or an older key is still there.",
)
DKIM_UNUSABLE = error(
    "PM419",
    "The published key can't be used.",
    "No signature of ours can be verified.",
    "Publish the value as postmask domain dns DOMAIN prints it, with no other tags.",
)
DKIM_REVOKED = error(
    "PM420",
    "The published key is revoked: its p= is empty.",
    "Every signature with it counts as none.",
    _PUBLISH,
)
DKIM_SEVERAL = error(
    "PM421",
    "There is more than one record under a key's name.",
    "Which of them counts isn't said (RFC 6376 §3.6.2.2): some receivers take the wrong one.",
    "Leave only the value that postmask domain dns DOMAIN prints.",
)
DKIM_TESTING = warning(
    "PM422",
    "The published key says that it is being tested (t=y).",
    "Some receivers take mail signed with it for unsigned.",
    "Take t=y out of the record.",
)
DKIM_NONE = error(
    "PM423",
    "The domain has no key to sign with.",
    "What is forwarded by it isn't signed, and is refused or marked by large providers.",
    "Give it one: postmask domain edit DOMAIN --add-key rsa. Then publish its record.",
)
DMARC_MISSING = warning(
    "PM424",
    "Neither the domain nor one above it has a DMARC policy.",
    "Anybody can write as its aliases, and large providers expect a policy.",
    _PUBLISH,
)
DMARC_SEVERAL = error(
    "PM425",
    "The domain has more than one DMARC record.",
    "None of them counts then (RFC 9989 §4.10).",
    "Leave one of them.",
)
DMARC_BROKEN = error(
    "PM426",
    "The domain's DMARC record can't be read.",
    "It counts as none, or as p=none.",
    "It begins with v=DMARC1; and p= is none, quarantine or reject. " + _PUBLISH,
)
DMARC_NONE = notice(
    "PM427",
    "The DMARC policy that counts for the domain asks for nothing.",
    "Mail that pretends to come from its aliases is delivered.",
    "When the reports show no mail of your own that fails: p=quarantine.",
)
DMARC_REPORTS = warning(
    "PM428",
    "DMARC reports can't go where the domain wants them.",
    "Nobody sends reports to a domain that hasn't agreed, or to what isn't a mailto: address.",
    "Have the other domain publish the record that is named, or name an address of the domain's own.",
)
STS_BROKEN = error(
    "PM429",
    "The domain's MTA-STS record can't be used.",
    "Senders take it that there is no MTA-STS policy (RFC 8461 §3.1).",
    'One TXT record of the form "v=STSv1; id=20260101T000000;"; a new id whenever the policy changes.',
)
STS_UNREACHABLE = error(
    "PM430",
    "The domain's MTA-STS policy can't be fetched.",
    "Senders go on by an older policy that they remember, and then without one.",
    "Serve it at https://mta-sts.DOMAIN/.well-known/mta-sts.txt, with a certificate for that name and "
    "without redirection; or take the TXT record away.",
)
STS_POLICY = error(
    "PM431",
    "The domain's MTA-STS policy can't be read.",
    "Senders take it that there is none (RFC 8461 §3.2).",
    "Its lines are version: STSv1, mode:, mx: for each mail exchanger, and max_age:.",
)
STS_EXCHANGER = error(
    "PM432",
    "A mail exchanger isn't in the domain's MTA-STS policy.",
    "Senders that heed the policy don't deliver to it.",
    "Add an mx: line for it to the policy, and change the TXT record's id.",
)
TLS_REPORTS = warning(
    "PM433",
    "The domain's TLS-RPT record can't be used.",
    "Nobody reports failed TLS connections.",
    'One TXT record of the form "v=TLSRPTv1; rua=mailto:ADDRESS" (RFC 8460 §3).',
)
NOT_LOOKED_AT = warning(
    "PM434",
    "There was no time to look at every domain.",
    "What is wrong with the others isn't known.",
    "See why the DNS is so slow; a caching name server on this host helps.",
)

CODES = declared(globals())
