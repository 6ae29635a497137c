"""The settings as commands for a shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

from postmask_postfix.attachment import printing
from postmask_postfix.render import pipe_argv
from postmask_postfix.settings import SettingsContext

POSTCONF = """\
postconf() {
    case $1 in
    -h) if [ -f "$2" ]; then cat "$2"; fi ;;
    -e) name=${2%%=*}; printf %s "${2#*=}" > "${name% }" ;;
    esac
}
"""
"""Each parameter is a file; the real one rests for seconds after every change."""


def test_run_again_they_change_nothing(tmp_path: Path) -> None:
    """After an upgrade, for instance: a milter that is listed twice would be asked twice."""
    script = _script()
    (tmp_path / "relay_domains").write_text("host.test")
    (tmp_path / "transport_maps").write_text("static:a")
    told = []
    for _ in range(2):
        subprocess.run(["sh", "-e"], input=script, text=True, cwd=tmp_path, check=True)
        told.append({path.name: path.read_text() for path in tmp_path.iterdir()})
    assert told[0] == told[1]
    assert told[0]["relay_domains"] == "host.test,$postmask_relay_domains"
    assert told[0]["transport_maps"] == "$postmask_transport_maps,static:a"
    assert told[0]["smtpd_restriction_classes"] == ",postmask_gate"
    assert not {"relay_recipient_maps", "postmask_relay_recipient_maps"} & told[0].keys()


def test_a_list_that_the_site_has_gets_ours(tmp_path: Path) -> None:
    (tmp_path / "relay_recipient_maps").write_text("hash:/r")
    subprocess.run(["sh", "-e"], input=_script(), text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "relay_recipient_maps").read_text() == "hash:/r,$postmask_relay_recipient_maps"
    assert (tmp_path / "postmask_relay_recipient_maps").exists()


def _script() -> str:
    context = SettingsContext(door="pipe", pipe_argv=pipe_argv("/usr/lib/postmask"))
    return POSTCONF + "".join(f"{line}\n" for line in printing.commands(context))
