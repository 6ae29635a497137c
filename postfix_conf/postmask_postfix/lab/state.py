"""The truth, the keys and the configuration of a lab.

DIAGNOSTICS
    LabError 69 when the database can't be reached or prepared.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from postmask import keys
from postmask.clock import Clock
from postmask_postfix.lab import layout as layouts
from postmask_postfix.lab.errors import LabError
from postmask_postfix.lab.layout import Layout
from postmask_postfix.lab.options import LabOptions, Made
from postmask_postfix.lab.postfix import PIPE_USER


def make(layout: Layout, made: Made, clock: Clock) -> None:
    """Make what is missing: keys, database, configuration file (last, for it names the others)."""
    if not layout.keys.exists():
        _keys(layout.keys, made.options.keys, clock)
    if layout.config.exists():
        return
    owner, node = _database(layout, made, clock)
    layouts.put(layout.config, configuration(layout, made, owner, node))


def _keys(file: Path, other: Path | None, clock: Clock) -> None:
    """New master secrets, or those of another lab."""
    if other is None:
        keys.init(file, clock)
        return
    try:
        keys.load(other)
        secrets_of_other = other.read_bytes()
    except (keys.KeyFileError, OSError) as error:
        raise LabError(f"--keys: {error}", os.EX_NOINPUT) from error
    file.touch(mode=0o600)
    file.write_bytes(secrets_of_other)


def _database(layout: Layout, made: Made, clock: Clock) -> tuple[str, str]:
    """Prepare the truth; returns the owner's URL and the nodes' URL."""
    # Here and not above: `postmask --help` must not load SQLAlchemy.
    from postmask.store import schema
    from postmask.store.errors import StoreError

    owner = made.options.database or f"sqlite:///{layout.database}"
    try:
        schema.init(owner, clock)
        return owner, _node_url(owner) if made.options.database else owner
    except StoreError as error:
        raise LabError(f"the database can't be prepared: {error}", os.EX_UNAVAILABLE) from error


def _node_url(owner: str) -> str:
    """Make a role for this lab's node on Postgres; returns its URL."""
    from postmask.store import engine, roles

    url = engine.parse_url(owner)
    if url.get_backend_name() == "sqlite":
        return owner
    role, password = f"postmask_lab_{secrets.token_hex(4)}", secrets.token_hex(16)
    owner_engine = engine.make_engine(owner)
    try:
        roles.grant_node_role(owner_engine, role, password)
    finally:
        owner_engine.dispose()
    node = url.set(drivername="postgresql", username=role, password=password)
    return node.render_as_string(hide_password=False)


def configuration(layout: Layout, made: Made, owner: str, node: str) -> str:
    """The text of postmask.toml."""
    nameserver = made.options.nameserver
    dns = {"nameservers": [nameserver]} if nameserver else {}
    sections: dict[str, Mapping[str, object]] = {
        "node": {"name": made.node},
        "database": {"url": node, "owner_url": owner},
        "keys": {"file": str(layout.keys)},
        "spool": {"path": str(layout.spool)},
        "replica": {"directory": str(layout.replica)},
        "dns": dns,
        "postfix": {
            "config_dir": str(layout.instance.etc),
            "door": made.door,
            "pipe_user": PIPE_USER,
            "pipe_folder": str(layout.pipe),
        },
        "sockets": {"directory": str(layout.sockets)},
        "reinject": {"socket": str(layout.reinject), "hold_socket": str(layout.hold)},
        **_engines(made.options),
    }
    return "".join(_section(name, values) for name, values in sections.items() if values)


def _engines(options: LabOptions) -> dict[str, Mapping[str, object]]:
    """The sections of the spam check."""
    chosen = {name: given for name, given in (("spamd", options.spamd), ("rspamd", options.rspamd)) if given}
    return {"spam": {"engines": [*chosen]} if chosen else {}} | {
        name: {"address": address} for name, address in chosen.items()
    }


def _section(name: str, values: Mapping[str, object]) -> str:
    # JSON's strings, numbers and lists of strings are TOML's too.
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    return f"[{name}]\n{''.join(lines)}\n"
