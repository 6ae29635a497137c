"""The configuration: one TOML file, every setting declared once, frozen typed values."""

from postmask.config.reading import DEFAULT_FILE, FILE_VARIABLE, ConfigError, load, nearest_key, read
from postmask.config.rewriting import rewrite, rewritten
from postmask.config.sections import Settings
from postmask.config.showing import Shown, masked, shown, toml

__all__ = [
    "DEFAULT_FILE",
    "FILE_VARIABLE",
    "ConfigError",
    "Settings",
    "Shown",
    "load",
    "masked",
    "nearest_key",
    "read",
    "rewrite",
    "rewritten",
    "shown",
    "toml",
]

ConfigError.__module__ = __name__  # its public name, which the command line's table of errors knows
