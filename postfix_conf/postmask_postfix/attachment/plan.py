"""From a Postfix's configuration to the same with Postmask attached, and back. Pure.

    attached(current, wanted)        main.cf and master.cf as they are to be
    told(main, domains)              a main.cf with another set of our domains
    detached(current, record)        the same without us, and what was left

Only what is ours is written, and only where it has to be; all other bytes stay as they are. A service that
overrides a list of ours with -o gets our word into its own list. A listener behind a content filter takes
back what was judged at the front door: its lists stay as they are.

Taken away is what bears our names: parameters and services that only we have, our words in lists. Where a
record tells what attaching found and what it left, every entry that is still as it was left becomes what
was found, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from postmask_postfix import render
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment import lists
from postmask_postfix.attachment.entries import Entries, Entry
from postmask_postfix.attachment.services import Listed, changed, listed, meaning
from postmask_postfix.parameters import PARAMETERS
from postmask_postfix.services import SERVICES
from postmask_postfix.settings import DOMAINS, SYNCED, Merge, Parameter, SettingsContext

REMARK = "# Postmask: see postmask-postfix(5). `postmask postfix detach` takes it all away.\n"

LISTENERS = ("smtpd", "postscreen")
_CLIENTS_PORTS = ("25", "smtp", "465", "smtps", "submissions", "587", "submission")
_LOOPBACK = re.compile(r"127\.[0-9.]+|localhost|\[?::1\]?")
_PAST_A_FILTER = ("no_milters", "no_unknown_recipient_checks")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The two files, each decoded so that every byte comes back (surrogateescape)."""

    main: str
    master: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What attaching writes. domains: the parameters by which our domains are ours. defaults: what those
    of our lists that main.cf doesn't mention hold by default, where that isn't nothing."""

    context: SettingsContext
    domains: Mapping[str, str]
    defaults: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """What attaching found, and what it left."""

    original: Configuration
    attached: Configuration


def word(parameter: Parameter) -> str:
    """What of ours stands in a list of the site's."""
    name = render.holder_name(parameter)
    return f"${name}" if name else parameter.value


def is_ours(name: str | None) -> bool:
    """Whether a parameter is one that only Postmask has."""
    if name is None:
        return False
    return name in _OUR_PARAMETERS or name.startswith(f"{DOMAINS}_")


def is_our_service(name: str | None) -> bool:
    """Whether a service is one that only Postmask has."""
    return name in _OUR_SERVICES


_OUR_PARAMETERS = frozenset(
    [
        *(parameter.name for parameter in PARAMETERS if parameter.merge is Merge.SET),
        *filter(None, map(render.holder_name, PARAMETERS)),
        *SYNCED,
    ]
)
_OUR_SERVICES = frozenset(f"{service.name}/unix" for service in SERVICES)


# --- attaching


def attached(current: Configuration, wanted: Wanted) -> Configuration:
    """The configuration with everything of ours in it. Unchanged where it is in it already."""
    master = _master(current.master, wanted)
    return Configuration(_main(current.main, master, wanted), master)


def _main(text: str, master: str, wanted: Wanted) -> str:
    found = files.main_cf(text)
    known = {entry.name: files.value(entry) for entry in found if entry.name}
    rendered = render.main_cf(wanted.context, {**wanted.defaults, **known})
    for parameter in _named_by_services(master):
        rendered |= render.holder(parameter, wanted.context)
    surplus = {name for name in known if is_ours(name) and name not in rendered and not _is_synced(name)}
    found = tuple(entry for entry in found if entry.name not in surplus)
    shared = {parameter.name: parameter for parameter in render.LISTS}
    new = []
    for name, value in rendered.items():
        entry = files.last(found, name)
        if entry is None:
            new.append(Entry(name, f"{name} = {value}\n"))
        elif name in shared:
            merged = lists.added(entry, word(shared[name]), shared[name].merge)
            found = files.replaced(found, entry, merged)
        elif files.value(entry) != " ".join(value.split()):
            found = files.replaced(found, entry, Entry(name, f"{name} = {value}\n"))
    return told(_with_ours(found, new), wanted.domains)


def told(main: str, domains: Mapping[str, str]) -> str:
    """A main.cf with exactly these parameters for our domains."""
    found = tuple(
        entry for entry in files.main_cf(main) if not _is_synced(entry.name) or entry.name in domains
    )
    new = []
    for name, value in domains.items():
        there = files.last(found, name)
        if there is None:
            new.append(Entry(name, f"{name} = {value}\n"))
        elif files.value(there) != value:
            found = files.replaced(found, there, Entry(name, f"{name} = {value}\n"))
    return _with_ours(found, new)


def _named_by_services(master: str) -> Iterator[Parameter]:
    """The lists in which a service has our word."""
    for service in listed(files.master_cf(master)):
        for parameter in render.LISTS:
            if lists.has(service.override(parameter.name) or "", word(parameter)):
                yield parameter


def _master(text: str, wanted: Wanted) -> str:
    found = files.master_cf(text)
    for service in listed(found):
        if not is_our_service(service.name):
            found = files.replaced(found, service.entry, _merged(service))
    new = []
    for ours in SERVICES:
        name = f"{ours.name}/unix"
        entry = Entry(name, render.entry(ours, wanted.context))
        there = files.last(found, name)
        if there is None:
            new.append(entry)
        elif meaning(there) != meaning(entry):
            found = files.replaced(found, there, entry)
    return _with_ours(found, new)


def _with_ours(found: Entries, new: list[Entry]) -> str:
    """The file with new entries at its end, below our remark."""
    text = files.joined(found)
    if not new:
        return text
    if text and not text.endswith("\n"):
        text += "\n"
    return text + ("" if REMARK in text else REMARK) + files.joined(new)


def _merged(service: Listed) -> Entry:
    """A service of the site's with our words in the lists that it has of its own."""
    if takes_back(service):
        return service.entry
    for parameter in render.LISTS:
        value = service.override(parameter.name)
        ours = word(parameter)
        if value is None or lists.has(value, ours):
            continue
        if not value and parameter.merge is Merge.APPEND_IF_SET:
            continue
        comma = ", " if _is_braced(service, parameter.name) else ","
        pair = (ours, value) if parameter.merge is Merge.PREPEND else (value, ours)
        (service,) = listed((changed(service, parameter.name, comma.join(filter(None, pair))),))
    return service.entry


def _is_braced(service: Listed, name: str) -> bool:
    return next(override.braced for override in reversed(service.overrides) if override.name == name)


def takes_back(service: Listed) -> bool:
    """Whether a listener takes mail back from a content filter, as FILTER_README sets it up: on loopback, or
    on a port that clients don't use."""
    host, _, port = service.service.rpartition(":")
    outside = port in _CLIENTS_PORTS and not _LOOPBACK.fullmatch(host)
    if service.command not in LISTENERS or service.type == "pass" or outside:
        return False
    options = service.override("receive_override_options") or ""
    return service.override("content_filter") == "" or any(
        lists.has(options, past) for past in _PAST_A_FILTER
    )


# --- detaching


def detached(current: Configuration, record: Record | None) -> Configuration:
    """The configuration without anything of ours."""
    if record is not None and same(current, record.attached):
        return record.original
    return Configuration(
        _main_without(current.main, record),
        _master_without(current.master, record),
    )


def same(one: Configuration, other: Configuration) -> bool:
    """Whether two configurations differ in nothing but the set of our domains."""
    return settled(one.main) == settled(other.main) and one.master == other.master


def settled(main: str) -> str:
    """A main.cf without what `postmask postfix sync` changes."""
    return files.joined(entry for entry in files.main_cf(main) if not _is_synced(entry.name))


def _is_synced(name: str | None) -> bool:
    return name is not None and (name in SYNCED or name.startswith(f"{DOMAINS}_"))


def _main_without(text: str, record: Record | None) -> str:
    return files.joined(_main_entries(files.main_cf(text), record))


def _main_entries(found: Entries, record: Record | None) -> Iterator[Entry]:
    original = files.main_cf(record.original.main) if record else ()
    attached = files.main_cf(record.attached.main) if record else ()
    words = {parameter.name: word(parameter) for parameter in render.LISTS}
    for entry in found:
        name = entry.name
        if name is None:
            yield _without_remark(entry)
        elif is_ours(name):
            continue
        elif name not in words or not lists.has(files.value(entry), words[name]):
            yield entry
        else:
            before = files.last(original, name)
            if record and entry == files.last(attached, name):
                if before is not None:
                    yield before
                continue
            bare = Entry(name, lists.removed(entry.text, words[name]))
            if files.value(bare).strip(", ") or before is not None:
                yield bare


def _master_without(text: str, record: Record | None) -> str:
    return files.joined(_master_entries(files.master_cf(text), record))


def _master_entries(found: Entries, record: Record | None) -> Iterator[Entry]:
    original = files.master_cf(record.original.master) if record else ()
    attached = files.master_cf(record.attached.master) if record else ()
    for entry in found:
        if entry.name is None:
            yield _without_remark(entry)
        elif not is_our_service(entry.name):
            before = files.last(original, entry.name)
            untouched = record is not None and entry == files.last(attached, entry.name)
            yield before if untouched and before is not None else _unmerged(entry)


def _unmerged(entry: Entry) -> Entry:
    """A service of the site's without our words."""
    for parameter in render.LISTS:
        for service in listed((entry,)):
            value = service.override(parameter.name)
            if value is not None and lists.has(value, word(parameter)):
                entry = changed(service, parameter.name, lists.removed(value, word(parameter)))
    return entry


def _without_remark(entry: Entry) -> Entry:
    return Entry(None, entry.text.replace(REMARK, ""))
