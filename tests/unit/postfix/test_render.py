"""From the settings to lines."""

import re

import pytest

from postmask_postfix import render
from postmask_postfix.attachment.collisions import LEAST
from postmask_postfix.parameters import PARAMETERS
from postmask_postfix.services import SERVICES
from postmask_postfix.settings import Merge, Parameter, SettingsContext

CONTEXT = SettingsContext(door="pipe", pipe_argv=render.pipe_argv("/usr/lib/postmask"))


def with_merge(merge):
    return Parameter("name", "ours", merge, "why", "3.7")


@pytest.mark.parametrize(
    ("merge", "site", "expected"),
    [
        (Merge.SET, "theirs", "ours"),
        (Merge.PREPEND, "", "ours"),
        (Merge.PREPEND, "a, b", "ours, a, b"),
        (Merge.APPEND, "a, b", "a, b, ours"),
        (Merge.APPEND, "", "ours"),
        (Merge.APPEND_IF_SET, "a", "a, ours"),
        (Merge.APPEND_IF_SET, "", None),
        (Merge.APPEND_IF_SET, "  ", None),
        (Merge.PREPEND, "a, ours, b", "a, ours, b"),
        (Merge.APPEND, "ours, a", "ours, a"),
    ],
)
def test_merging(merge, site, expected):
    assert render.merged(with_merge(merge), "ours", site) == expected


def test_merging_twice_changes_nothing():
    site = {"transport_maps": "static:x", "relay_domains": "site.test", "smtpd_milters": "inet:localhost:1"}
    once = render.main_cf(CONTEXT, site)
    assert render.main_cf(CONTEXT, {**site, **once}) == once


def test_ours_stands_first_where_postfix_asks_in_order():
    values = render.main_cf(
        CONTEXT, {"transport_maps": "regexp:/etc/x", "smtpd_recipient_restrictions": "permit"}
    )
    assert values["transport_maps"] == "$postmask_transport_maps, regexp:/etc/x"
    assert values["postmask_transport_maps"] == "regexp:{ {/@(${postmask_domains})$$/ postmask:} }"
    assert values["smtpd_recipient_restrictions"] == "$postmask_smtpd_recipient_restrictions, permit"


def test_no_list_of_relay_recipients_is_started():
    assert "relay_recipient_maps" not in render.main_cf(CONTEXT, {})
    assert render.main_cf(CONTEXT, {"relay_recipient_maps": "hash:/x"})["relay_recipient_maps"].startswith(
        "hash:/x, "
    )


def test_the_door_chooses_the_next_hop():
    lmtp = SettingsContext(door="lmtp", pipe_argv=("/bin/false",), sockets="private/mask")
    routes = render.main_cf(lmtp, {})["postmask_transport_maps"]
    assert "postmask-lmtp:unix:private/mask/forwarder.sock}" in routes


def test_an_unknown_door_is_refused():
    with pytest.raises(ValueError, match="door"):
        SettingsContext(door="window", pipe_argv=())


def test_the_size_limit_at_re_injection_is_above_the_outer_one():
    assert SettingsContext(door="pipe", pipe_argv=(), message_size_limit=1000).reinject_size_limit > 1000
    assert SettingsContext(door="pipe", pipe_argv=(), message_size_limit=0).reinject_size_limit == 0


def test_postfix_waits_longer_than_the_scan_milter_takes() -> None:
    context = SettingsContext(door="pipe", pipe_argv=(), scan_budget=7.5)
    assert "content_timeout=13s }" in render.main_cf(context, {})["postmask_smtpd_milters"]


def test_every_placeholder_is_filled():
    lines = render.master_cf(CONTEXT) + "".join(render.main_cf(CONTEXT, {}).values())
    assert not re.search(r"<[a-z_]+>", lines)


def test_an_unknown_placeholder_is_a_mistake():
    with pytest.raises(KeyError, match="nonsense"):
        render.fill("<nonsense>", CONTEXT)


def test_the_client_s_command_is_one_word_each():
    entry = next(render.entry(service, CONTEXT) for service in SERVICES if service.name == "postmask")
    argv = entry[entry.index("argv=") :]
    assert argv.startswith("argv=/usr/bin/python3 -I -S -c {import posix, sys; ")
    assert "} -- socket=postmask/forwarder.sock stamp=postmask/pipe/stamp queue_id=${queue_id} " in argv
    assert argv.endswith("sender=${sender} recipient=${recipient}\n")


@pytest.mark.parametrize("text", ["a\nb", "a{b", "$x", " a"])
def test_what_a_word_may_not_hold(text):
    with pytest.raises(ValueError, match=re.escape("master.cf")):
        render.word(text)


@pytest.mark.parametrize("folder", ["/a b", '/a"b', "/a\\b", "/a{b}", "/$a", ""])
def test_folders_that_can_not_stand_in_the_command(folder):
    with pytest.raises(ValueError, match="folder"):
        render.pipe_argv(folder)


def test_everything_says_why_and_since_when():
    for item in (*PARAMETERS, *SERVICES):
        assert item.why.endswith(".")
        assert re.fullmatch(r"\d+\.\d+", item.since)
    for service in SERVICES:
        assert all(option.why for option in service.options)
        names = [option.name for option in service.options]
        assert len(names) == len(set(names))


def test_one_rendering_serves_every_postfix_that_is_supported():
    """3.7 (Debian 12), 3.8 (Ubuntu 24.04, on which nothing else is tried) and 3.10 (Debian 13)."""
    for item in (*PARAMETERS, *SERVICES):
        since = tuple(map(int, item.since.split(".")))
        assert since <= LEAST == (3, 7)


@pytest.mark.parametrize("door", ["postmask", "postmask-lmtp"])
def test_no_host_wide_delay_holds_our_doors_up(door):
    values = {parameter.name: parameter.value for parameter in PARAMETERS}
    for delay in ("destination_rate_delay", "transport_rate_delay"):
        assert values[f"{door}_{delay}"] == "0s"


def test_the_hold_listener_is_the_re_injection_listener_but_for_the_hold():
    by_name = {service.name: service for service in SERVICES}
    reinject, hold = by_name["postmask-reinject"].options, by_name["postmask-hold"].options
    differing = [(ours, held) for ours, held in zip(reinject, hold, strict=True) if ours != held]
    assert [(ours.value, held.value) for ours, held in differing] == [
        ("", "check_client_access static:HOLD, permit")
    ]
