"""A little site on SQLite for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli_site import NOW, Site
from postmask.clock import ManualClock


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and an empty database, made once."""
    site = Site(tmp_path_factory.mktemp("site"), ManualClock(NOW))
    site.configure()
    site.text("keys", "init")
    site.text("db", "init")
    return site.folder


@pytest.fixture
def bare(template: Path, tmp_path: Path) -> Site:
    """Keys and a database with nothing in it."""
    folder = tmp_path / "site"
    shutil.copytree(template, folder)
    site = Site(folder, ManualClock(NOW))
    site.configure()
    return site


@pytest.fixture(scope="session")
def filled(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with a domain, a mailbox and an alias."""
    folder = tmp_path_factory.mktemp("filled") / "site"
    shutil.copytree(template, folder)
    site = Site(folder, ManualClock(NOW))
    site.configure()
    site.text("domain", "add", "alias.test", "--postmaster", "chief@real.test")
    site.text("mailbox", "add", "Me@real.test", "--verified")
    site.text("alias", "add", "shop@alias.test", "--to", "me@real.test", "--note", "the shoe shop")
    return folder


@pytest.fixture
def site(filled: Path, tmp_path: Path) -> Site:
    """alias.test with shop@alias.test, which goes to Me@real.test."""
    folder = tmp_path / "site"
    shutil.copytree(filled, folder)
    copy = Site(folder, ManualClock(NOW))
    copy.configure()
    return copy
