"""The command ``steer``: a user of the public API, one file a command."""
