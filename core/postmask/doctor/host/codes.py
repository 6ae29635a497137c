"""What can be wrong with the host (PM3xx)."""

from __future__ import annotations

from postmask.doctor.finding import declared, error, notice, warning

NAME_BARE = error(
    "PM301",
    "This host has no full name.",
    "It greets others with that name (HELO), and many refuse mail from what isn't a name in the public DNS.",
    "Give Postfix's myhostname a full name that is in the DNS: postconf -e myhostname=mx1.example.com.",
)
NAME_UNRESOLVED = error(
    "PM302",
    "The name with which this host greets others has no address.",
    "Many refuse mail from a host whose HELO name doesn't exist.",
    "Publish an A or AAAA record for it, or correct Postfix's myhostname (smtp_helo_name).",
)
NAME_ELSEWHERE = warning(
    "PM303",
    "The name with which this host greets others leads to another address than its mail comes from.",
    "Some take that for a forged HELO, and score or refuse the mail.",
    "Publish the address under that name too, or set Postfix's smtp_helo_name to the address's own name.",
)
UNANSWERED = warning(
    "PM304",
    "Some of the host's names and addresses could not be looked up.",
    "What is wrong with them isn't known.",
    "See that the DNS answers: the servers of dns.nameservers, or else of /etc/resolv.conf.",
)
ADDRESS_UNKNOWN = notice(
    "PM305",
    "From which address this host's mail comes to others isn't known.",
    "Reverse DNS, SPF and block lists can't be looked at for it.",
    "Name it in doctor.addresses.",
)
NOT_OURS = error(
    "PM306",
    "Postfix is to send from an address that this host hasn't.",
    "It warns at each delivery and sends from another one, which SPF and reverse DNS may not know.",
    "Correct smtp_bind_address or smtp_bind_address6, or give the host that address.",
)
REVERSE_MISSING = error(
    "PM307",
    "An address from which mail is sent has no name (PTR).",
    "Large providers refuse mail from it.",
    "Have whoever gave you the address set its reverse DNS to this host's name. An IPv6 address that can't "
    "get one: inet_protocols=ipv4, or smtp_address_preference=ipv4.",
)
REVERSE_UNCONFIRMED = error(
    "PM308",
    "The name of an address from which mail is sent doesn't lead back to it.",
    "Anybody can claim a name that way; large providers refuse mail from it.",
    "Publish the address under the name that its reverse DNS gives, or have that set to this host's name.",
)
NO_WAY_OUT = error(
    "PM309",
    "No mail gets out: the next hosts can't be reached.",
    "Everything that is forwarded waits in the queue, and is returned when its lifetime ends.",
    "A time-out means that something on the way drops it, a refusal that something refuses it: many hosters "
    "block port 25 until one asks. Ask yours, look at the firewall here, or send by another host "
    "(relayhost).",
)
CLOCK_FREE = notice(
    "PM310",
    "The kernel doesn't know of anything that sets its clock.",
    "Signatures, proofs of replies and expiry go by it.",
    "Have it set by NTP: timedatectl set-ntp true, or chrony. OpenNTPD does it without telling the kernel.",
)

CODES = declared(globals())
