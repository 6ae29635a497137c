"""What is known of the front door before a message is handed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask_postfix import commands
from postmask_postfix.attachment.listeners import Listener
from postmask_postfix.doctor.handing import is_examined

SCREENED = "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd"


@pytest.mark.parametrize(
    ("main", "master", "expected"),
    [
        ("", "smtp inet n - n - - smtpd", True),
        ("h:1", "smtp inet n - n - - smtpd", False),
        ("", "smtp inet n - n - - smtpd -o smtpd_proxy_filter=h:1", False),
        ("h:1", "smtp inet n - n - - smtpd -o smtpd_proxy_filter=", True),
        ("", f"{SCREENED} -o smtpd_proxy_filter=h:1", False),
        ("", f"{SCREENED}\n25 inet n - n - - smtpd -o smtpd_proxy_filter=h:1", True),
    ],
)
def test_a_proxy_filter_hides_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: str, master: str, expected: bool
) -> None:
    """SMTPD_PROXY_README sets it for one listener."""
    monkeypatch.setattr(commands, "values", lambda *_: {"smtpd_proxy_filter": main})
    (tmp_path / "main.cf").touch()
    (tmp_path / "master.cf").write_text(f"{master}\n")
    door = Listener(
        "smtp/inet", "127.0.0.1", "25", tls=False, proxied=False, screened="postscreen" in master, gated=True
    )
    assert is_examined(tmp_path, door) is expected
