"""Programs that pass HTTP on, as an operating system ships them: squid, dante and nginx.

Each runs on the loopback interface, at a port that was free, in a folder of its own, and ends with
the block. Debian's packages are ``squid``, ``dante-server`` with ``libnss-wrapper`` (which gives it
users and names that this machine does not have) and ``nginx-light``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.valkey import free_port

# Where Debian puts what is no command of everybody's.
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"))
_NSS_WRAPPER = tuple(Path("/usr/lib").glob("*/libnss_wrapper.so"))

SQUID = shutil.which("squid", path=_PATH)
NGINX = shutil.which("nginx", path=_PATH)
DANTE = shutil.which("danted", path=_PATH) if _NSS_WRAPPER else None

# The name by which the proxies know the provider; nobody else does.
PROVIDER = "provider.test"

# The user that the proxies know, as both spell it, and a password that no URL holds as it is.
USER, PASSWORD = "me", "se/cret@:"
_SQUID_LOGIN = "me:$apr1$steer1$Mx765rgqnRNN0dovsS2oD/"
_SHADOW_LOGIN = (
    "me:$6$steer1$jd9aMlT/QopPCfAxTpnaDX4e8qZZy5wpenfbEh1m9UciTy5w9hnm78I3XQw8X19J56UAz4vAABqno8oS"
    ".kerU.:19000:0:99999:7:::"
)

_PATIENCE = 30.0


def needs(program: str | None, package: str) -> pytest.MarkDecorator:
    """Skip tests where a program is missing, unless ``STEER_DEMANDS_PROXIES`` is set."""
    return pytest.mark.skipif(
        program is None and "STEER_DEMANDS_PROXIES" not in os.environ,
        reason=f"a proxy is missing: apt-get install {package}",
    )


@dataclass(frozen=True)
class Daemon:
    """A program that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        process: The program.
    """

    port: int
    process: subprocess.Popen[bytes]

    @property
    def place(self) -> str:
        """Its address, as it stands in a URL."""
        return f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        """``kill -9``."""
        _end(self.process)


@contextmanager
def squid(
    rules: str = "http_access allow all", certificate: tuple[Path, Path] | None = None
) -> Iterator[Daemon]:
    """Run squid, an HTTP proxy.

    Args:
        rules: Whom it lets through, in the words of its configuration.
        certificate: The files of its certificate and key, where it is to speak TLS itself.
    """
    with _folder("proxy") as folder:
        port = free_port()
        (folder / "hosts").write_text(f"127.0.0.1 {PROVIDER}\n")
        (folder / "users").write_text(f"{_SQUID_LOGIN}\n")
        listening = f"http_port 127.0.0.1:{port}"
        if certificate is not None:
            files = _copies(certificate, folder)
            listening = f"https_port 127.0.0.1:{port} tls-cert={files[0]} tls-key={files[1]}"
        (folder / "squid.conf").write_text(
            f"""
            {listening}
            auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/users
            auth_param basic children 1 startup=1 idle=1
            auth_param basic realm steer
            acl everybody_known proxy_auth REQUIRED
            {rules}
            hosts_file {folder}/hosts
            dns_nameservers 127.0.0.1
            visible_hostname squid.test
            access_log none
            cache_log {folder}/cache.log
            pid_filename none
            cache deny all
            cache_mem 1 MB
            memory_cache_shared off
            max_filedescriptors 1024
            pinger_enable off
            shutdown_lifetime 0 seconds
            coredump_dir {folder}
            """
        )
        name = f"steer{port}"
        # By itself it would leave root for this user, who could not write where root can.
        command = [str(SQUID), "-N", "-n", name, "-f", str(folder / "squid.conf")]
        try:
            with _running(command, port, user=_user("proxy")) as daemon:
                yield daemon
        finally:
            for left in Path("/dev/shm").glob(f"{name}-*"):
                left.unlink()


@contextmanager
def dante(*, wants_password: bool = False, refuses: bool = False) -> Iterator[Daemon]:
    """Run dante, a SOCKS proxy.

    Args:
        wants_password: Whether it lets only `USER` through.
        refuses: Whether its rules let nobody through.
    """
    with _folder(None) as folder:
        port = free_port()
        verb = "block" if refuses else "pass"
        me = pwd.getpwuid(os.getuid()).pw_name
        (folder / "hosts").write_text(f"127.0.0.1 {PROVIDER}\n127.0.0.1 localhost\n")
        (folder / "passwd").write_text(
            f"{USER}:x:4321:4321::/:/bin/false\n{me}:x:{os.getuid()}:{os.getgid()}::/:/bin/false\n"
        )
        (folder / "group").write_text(f"{USER}:x:4321:\n{me}:x:{os.getgid()}:\n")
        (folder / "shadow").write_text(f"{_SHADOW_LOGIN}\n")
        (folder / "dante.conf").write_text(
            f"""
            logoutput: {folder}/log
            internal: 127.0.0.1 port = {port}
            external: 127.0.0.1
            clientmethod: none
            socksmethod: {"username" if wants_password else "none"}
            user.privileged: {me}
            user.unprivileged: {me}
            client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
            socks {verb} {{ from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect }}
            """
        )
        names = {
            "LD_PRELOAD": str(_NSS_WRAPPER[0]),
            **{
                f"NSS_WRAPPER_{name.upper()}": str(folder / name)
                for name in ("hosts", "passwd", "group", "shadow")
            },
        }
        command = [str(DANTE), "-N", "1", "-f", str(folder / "dante.conf"), "-p", f"{folder}/pid"]
        with _running(command, port, environment=names) as daemon:
            yield daemon


@contextmanager
def nginx(site: str, server: str = "", listen: str = "") -> Iterator[Daemon]:
    """Run nginx, a proxy before a server.

    Args:
        site: What its ``location /`` says.
        server: What stands beside that.
        listen: Words after the address at which it listens, such as ``ssl``.
    """
    with _folder(None) as folder:
        port = free_port()
        places = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"""
            {"user root;" if os.getuid() == 0 else ""}
            daemon off;
            worker_processes 1;
            pid {folder}/pid;
            error_log {folder}/error.log;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                {places}
                client_max_body_size 16m;
                {server}
                server {{
                    listen 127.0.0.1:{port} {listen};
                    location / {{ {site} }}
                }}
            }}
            """
        )
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        command += ["-e", str(folder / "error.log")]
        with _running(command, port) as daemon:
            yield daemon


@contextmanager
def _running(
    command: list[str],
    port: int,
    *,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Daemon]:
    process = subprocess.Popen(
        command,
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else (),
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that what it has started ends with it
    )
    try:
        _await_answer(process, port)
        yield Daemon(port, process)
    finally:
        _end(process)
        assert process.stderr is not None
        process.stderr.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and those that it started: in good order, squid takes two seconds."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _await_answer(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a program listens; what it says before it ends is the error's text."""
    until = time.monotonic() + _PATIENCE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(f"{process.args!r}: {process.stderr.read().decode()}")
        assert time.monotonic() < until, f"{process.args!r} does not listen"
        time.sleep(0.01)


def _copies(files: tuple[Path, ...], folder: Path) -> list[str]:
    """Files where the program can read them."""
    return [shutil.copy(each, str(folder)) for each in files]


def _user(name: str) -> str | None:
    """The user to become: only root can, and must."""
    return name if os.getuid() == 0 else None


@contextmanager
def _folder(owner: str | None) -> Iterator[Path]:
    """A folder that a user can reach: pytest's own are closed to all but the one who runs it."""
    with tempfile.TemporaryDirectory(prefix="steer-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if owner is not None and _user(owner) is not None:
            shutil.chown(folder, owner)
        yield folder
