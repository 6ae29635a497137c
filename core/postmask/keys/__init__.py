"""The master secrets: the file that holds them, and the keyring that uses them."""

from postmask.keys.keyfile import KeyFileError, init, load, rotate, sign
from postmask.keys.keyring import HIGHEST_ID, SECRET_LENGTH, Keyring, Purpose, Secret

__all__ = [
    "HIGHEST_ID",
    "SECRET_LENGTH",
    "KeyFileError",
    "Keyring",
    "Purpose",
    "Secret",
    "init",
    "load",
    "rotate",
    "sign",
]

KeyFileError.__module__ = __name__  # its public name, which the command line's table of errors knows
