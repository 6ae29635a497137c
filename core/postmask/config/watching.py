"""Noticing that the configuration file names another database than the one in use.

All other settings are read once, when a program starts. The database may be moved while programs run,
and they go with it.

DIAGNOSTICS
    A file that can't be read or used is logged, once for each reason, and changes nothing. It is read again
    at the next look: what kept it from being read (no free descriptor, say) may be over.
"""

from __future__ import annotations

import logging
from pathlib import Path

from postmask.config.reading import ConfigError, load
from postmask.config.sections import Settings
from postmask.log import line

_log = logging.getLogger(__name__)


class DatabaseWatch:
    """Looks at the file that the settings were read from. Used by one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.file
        self._url = settings.database.url
        self._stamp: tuple[int, int, int] | None = None
        self._other: Settings | None = None
        self._trouble = ""

    def look(self) -> Settings | None:
        """The settings as they are now, if they name another database; else None."""
        stamp = _stamp(self._file)
        if stamp is not None and stamp != self._stamp:
            self._other = self._read()
            self._stamp = None if self._trouble else stamp
        return self._other

    def settle(self, settings: Settings) -> None:
        """That one is in use from now on."""
        self._url = settings.database.url
        self._other = None

    def _read(self) -> Settings | None:
        try:
            settings = load(self._file)
        except ConfigError as error:
            if str(error) != self._trouble:
                line(_log, logging.ERROR, "config.unusable", reason=str(error))
            self._trouble = str(error)
            return self._other
        self._trouble = ""
        return None if settings.database.url == self._url else settings


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
