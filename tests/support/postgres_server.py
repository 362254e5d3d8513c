"""A PostgreSQL server for the length of a test, on a free loopback port, from Debian's package."""

import ctypes
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

import scenario

PASSWORD = "marked-database-password-7d1f"


def programs():
    """The folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return os.path.dirname(found[-1]) if found else None


_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def _quit_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)  # to PostgreSQL: at once, taking along what is its own


class PostgresServer:
    """Running from construction to stop(), and no longer than the thread that made it lives. Logins by password
    (SCRAM); role pachyderm owns what it makes."""

    def __init__(self, tls=None):
        """`tls`: (certificate, key); then no connection without TLS is taken."""
        self.bin = programs()
        if not self.bin:
            raise RuntimeError("no PostgreSQL server here (postgresql-15)")
        self.folder = tempfile.mkdtemp(prefix="pbcopy-postgres-", dir="/tmp")
        self.host, self.port, self.user, self.password = "127.0.0.1", scenario.free_port(), "pachyderm", PASSWORD
        # PostgreSQL refuses to run as root.
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.as_user:
            shutil.chown(self.folder, "postgres")
        password_file = os.path.join(self.folder, "password")
        with open(password_file, "w", encoding="ascii") as file:
            file.write(PASSWORD + "\n")
        os.chmod(password_file, 0o644)
        self.data = os.path.join(self.folder, "data")
        self._run("initdb", "--pgdata", self.data, "--username", "pachyderm", "--auth", "scram-sha-256",
                  "--pwfile", password_file, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
        self.settings = self._set_up_tls(*tls) if tls else []
        self.start()

    def _set_up_tls(self, certificate, key):
        for path, name in ((certificate, "server.pem"), (key, "server.key")):
            target = shutil.copy(path, os.path.join(self.data, name))
            os.chmod(target, 0o600)
            if self.as_user:
                shutil.chown(target, "postgres")
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="ascii") as file:
            file.write("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        return ["ssl=on", "ssl_cert_file=server.pem", "ssl_key_file=server.key"]

    def _run(self, program, *arguments):
        run = subprocess.run([*self.as_user, os.path.join(self.bin, program), *arguments], cwd="/",
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, timeout=120, check=False)
        if run.returncode:
            raise RuntimeError(f"{program}: {run.stdout}")

    def start(self):
        settings = [f"port={self.port}", f"unix_socket_directories={self.folder}", "listen_addresses=127.0.0.1",
                    "fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=30", *self.settings]
        account = {"user": "postgres", "group": "postgres", "extra_groups": []} if self.as_user else {}
        with open(os.path.join(self.folder, "server.log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.bin, "postgres"), "-D", self.data, *(word for each in settings for word in ("-c", each))],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_quit_with_parent, **account)
        self.connect("postgres").close()

    def halt(self):
        """Stops the server at once, in the middle of what it does; start() brings it back."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stop(self):
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        return {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user, "PGPASSWORD": self.password}

    def psql(self, database, text):
        """The answer, unaligned and without heads; several statements are one transaction."""
        run = subprocess.run(["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--single-transaction",
                              "--set", "ON_ERROR_STOP=1", "--dbname", database],
                             input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300,
                             env={**os.environ, **self.environment()}, check=False)
        if run.returncode:
            raise RuntimeError(f"psql {database}: {run.stderr}")
        return run.stdout.strip()

    def drop(self, *databases):
        for database in databases:
            subprocess.run(["dropdb", database], env={**os.environ, **self.environment()}, check=True, timeout=60)

    def create(self, *databases):
        for database in databases:
            subprocess.run(["createdb", database], env={**os.environ, **self.environment()}, check=True,
                           timeout=60)

    def connect(self, database):
        import psycopg2
        deadline = time.monotonic() + 30
        while True:
            try:
                return psycopg2.connect(host=self.host, port=self.port, user=self.user, password=self.password,
                                        dbname=database)
            except psycopg2.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.2)
