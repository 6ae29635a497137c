"""What a command works with: settings, keys, the truth, the output. Each is opened on first use.

DIAGNOSTICS
    Whatever can't be opened raises its own exception (ConfigError, KeyFileError, StoreError), worded
    for the person who called.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from postmask.cli.output import Output
from postmask.clock import Clock, SystemClock

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from postmask.config import Settings
    from postmask.keys import Keyring


class Runtime:
    """One call of the command line. config_file: set by --config, before anything else is used."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.output = Output()
        self.config_file: Path | None = None
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    @cached_property
    def settings(self) -> Settings:
        """The settings in force. Raises ConfigError."""
        from postmask.config import load

        return load(self.config_file)

    def at_end(self, step: Callable[[], object]) -> None:
        """Have something done when the call is over, also by an interruption."""
        self._closing.callback(step)

    def read_again(self) -> None:
        """The configuration file was changed: settings and engine are to be those that it names now."""
        for name in ("settings", "engine"):
            self.__dict__.pop(name, None)

    @cached_property
    def keys(self) -> Keyring:
        """The master secrets. Raises KeyFileError."""
        from postmask.keys import load

        return load(self.settings.keys.file)

    @cached_property
    def engine(self) -> Engine:
        """The truth, in its owner's role."""
        from postmask.store.engine import make_engine

        engine = make_engine(self.settings.database.owner_url)
        self._closing.callback(engine.dispose)
        return engine

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads."""
        from postmask.store.session import transaction

        with transaction(self.engine, read_only=True) as session:
            yield session

    @contextlib.contextmanager
    def changing(self, *, in_turn: bool = True) -> Iterator[Session]:
        """A session that commits at the end of the block; nothing is changed if anything is raised.

        in_turn: see store.session.
        """
        from postmask.store.session import transaction

        with transaction(self.engine, in_turn=in_turn) as session:
            yield session
