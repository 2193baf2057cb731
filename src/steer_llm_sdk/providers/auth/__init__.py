"""Who asks, where a key alone does not say it: signatures, tokens that expire, places that depend.

This room is not pure: the vendors' libraries that it asks for credentials open sockets and read
files. They are imported where they are first used, and asked in threads.
"""
