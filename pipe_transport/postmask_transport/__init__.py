"""The pipe transport: the client that pipe(8) runs, and the forwarder behind it."""
