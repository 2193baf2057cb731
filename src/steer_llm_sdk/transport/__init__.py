"""The only sockets. `http` is the one file that knows the HTTP library."""
