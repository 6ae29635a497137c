"""Outside judges of a DKIM signature: dkimpy, OpenDKIM and Mail::DKIM, each asked offline.

Every judge takes a message with CRLF line ends and the key records as {name: TXT value}, and answers
True only when the (first) signature verifies.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import dkim

_MAIL_DKIM = r"""
use Mail::DKIM::Verifier; use JSON::PP;
my $records = decode_json($ENV{POSTMASK_RECORDS});
package Answer { sub new { my ($c, $t) = @_; return bless {t => $t}, $c } sub type { 'TXT' }
                 sub txtdata { $_[0]{t} } sub char_str_list { $_[0]{t} } }
{ no warnings; *Mail::DKIM::DNS::query = sub {
    my $text = $records->{lc $_[0]}; return defined $text ? Answer->new($text) : () };
  *Mail::DKIM::DNS::query_async = sub { my ($d, $t, %cb) = @_;
    my @r = Mail::DKIM::DNS::query($d, $t); my $ok = $cb{Callbacks}{Success};
    return $ok ? sub { $ok->(@r) } : sub { @r } } }
package main;
binmode STDIN; local $/ = \65536;
my $verifier = Mail::DKIM::Verifier->new();
$verifier->PRINT($_) while <STDIN>;
$verifier->CLOSE;
print $verifier->result_detail;
"""


def dkimpy(message: bytes, records: Mapping[str, str]) -> bool:
    """dkimpy, on PyPI (RSA only unless PyNaCl is there)."""

    def txt(name: bytes, timeout: float = 0) -> bytes | None:
        value = records.get(name.decode().rstrip("."))
        return None if value is None else value.encode()

    return bool(dkim.verify(message, dnsfunc=txt))


def opendkim(message: bytes, records: Mapping[str, str]) -> bool:
    """opendkim -t, of Debian's package opendkim."""
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "keys")
        keys.write_text("".join(f"{name} {value}\n" for name, value in records.items()))
        config = Path(folder, "opendkim.conf")
        config.write_text(f"Mode v\nTestPublicKeys {keys}\nOn-BadSignature reject\nOn-NoSignature reject\n")
        mail = Path(folder, "message")
        mail.write_bytes(message)
        told = subprocess.run(
            ["/usr/sbin/opendkim", "-t", str(mail), "-x", str(config), "-v", "-v"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    return told.returncode == 0 and "verification (s=" in told.stdout and "succeeded" in told.stdout


def mail_dkim(message: bytes, records: Mapping[str, str]) -> bool:
    """Mail::DKIM, of Debian's package libmail-dkim-perl."""
    told = subprocess.run(
        ["/usr/bin/perl", "-e", _MAIL_DKIM],
        input=message,
        capture_output=True,
        timeout=120,
        env={"POSTMASK_RECORDS": json.dumps(dict(records)), "PATH": "/usr/bin:/bin"},
    )
    return told.stdout == b"pass"
