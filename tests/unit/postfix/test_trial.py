"""A configuration that is tried before it is put in its place, with the real postmap."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from postmask_postfix import render
from postmask_postfix.attachment import plan, trial
from postmask_postfix.attachment.plan import Configuration, Wanted
from postmask_postfix.commands import PostfixError
from postmask_postfix.settings import SettingsContext
from postmask_postfix.sync import wanted_settings


def test_what_is_wrong_is_told_without_the_copys_own_troubles(tmp_path: Path) -> None:
    """Many a main.cf says in which folder it lies; the copy lies in another one."""
    context = SettingsContext(door="pipe", pipe_argv=render.pipe_argv("/usr/lib/postmask"))
    main = (
        f"compatibility_level = 3.6\nconfig_directory = {tmp_path}\n"
        "transport_maps = hash:$config_directory/none\n"
    )
    wanted = Wanted(context, wanted_settings(["alias.test"]), {})
    with pytest.raises(PostfixError, match=r"open database \S+/none\.db") as caught:
        trial.check(tmp_path, plan.attached(Configuration(main, ""), wanted), context, ["alias.test"])
    assert "config_directory" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("postmask_domains", ".*"),
        ("postmask_smtpd_recipient_restrictions", "check_recipient_access regexp:{ {/./ postmask_gate} }"),
        ("postmask_smtpd_recipient_restrictions", "check_recipient_access regexp:{ {/nobody/ OK} }"),
        ("postmask_transport_maps", "regexp:{ {/@alias/ postmask:} {/./ postmask:} }"),
        ("postmask_transport_maps", "regexp:{ {/@alias/ smtp:} }"),
        ("postmask_relay_domains", "regexp:{ {/./ 1} }"),
        ("postmask_relay_domains", "regexp:{ {/nobody/ 1} }"),
        ("postmask_relay_recipient_maps", "regexp:{ {/./ 1} }"),
        ("postmask_relay_recipient_maps", "regexp:{ {/nobody/ 1} }"),
    ],
)
def test_whichever_table_takes_others_for_ours_or_ours_for_another_s(
    tmp_path: Path, name: str, value: str
) -> None:
    """A relay open to the world, or all our mail bounced."""
    context = SettingsContext(door="pipe", pipe_argv=render.pipe_argv("/usr/lib/postmask"))
    main = "compatibility_level = 3.6\nrelay_recipient_maps = inline:{ me@host.test=1 }\n"
    wanted = Wanted(context, wanted_settings(["alias.test"]), {})
    attached = plan.attached(Configuration(main, ""), wanted)
    with pytest.raises(PostfixError, match="would not take exactly our domains for ours"):
        trial.check(
            tmp_path, replace(attached, main=f"{attached.main}{name} = {value}\n"), context, ["alias.test"]
        )
