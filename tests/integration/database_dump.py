"""Dumps of a real PostgreSQL server and their way back, through database_program: what is restored is what was
dumped, a cut dump never counts, and nothing that is damaged is ever committed."""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
import postgres_server

PROGRAM = os.path.join(os.environ.get("PROGRAMS", ""), "database_program")
SECRET = "marked-chunk-encryption-secret-51c0"
ROWS = 100_000

if not postgres_server.programs() or not shutil.which("pg_dump"):
    scenario.unavailable("no PostgreSQL here (postgresql-15)")

METADATA = f"""
CREATE SCHEMA storage;
CREATE TABLE storage.chunk_objects (
    chunk_id bytea NOT NULL, gen bigserial NOT NULL, uploaded boolean NOT NULL DEFAULT false,
    tombstone boolean NOT NULL DEFAULT false, size int8 NOT NULL, PRIMARY KEY (chunk_id, gen));
INSERT INTO storage.chunk_objects
    SELECT sha256(i::text::bytea), i, i % 50 <> 0, i % 70 = 0, 1000 + i FROM generate_series(1, {ROWS}) i;
CREATE TABLE storage.keys (name varchar(250) PRIMARY KEY, data bytea NOT NULL);
INSERT INTO storage.keys VALUES ('default', '{SECRET}'::bytea);
CREATE SCHEMA pfs;
CREATE TYPE pfs.state AS ENUM ('it''s', 'COPY storage.chunk_objects (chunk_id) FROM stdin;');
CREATE TABLE pfs.commits (id bigint PRIMARY KEY, "COPY; it's" pfs.state DEFAULT 'it''s', description text);
INSERT INTO pfs.commits SELECT i, 'it''s', repeat(md5(i::text) || E'\\n\\\\.\\n\\tCOPY storage.chunk_objects (chunk_id, '
    'gen, uploaded, tombstone) FROM stdin;\\n', 200) FROM generate_series(1, 500) i;
COMMENT ON TABLE pfs.commits IS 'a comment;
COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone) FROM stdin;
';
CREATE FUNCTION pfs.notify() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
    PERFORM pg_notify('pfs', '$$; it''s'); /*
COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone) FROM stdin;
*/  RETURN NEW; END $body$;
CREATE TRIGGER told AFTER INSERT ON pfs.commits FOR EACH ROW EXECUTE FUNCTION pfs.notify();
"""

DEX = """
CREATE TABLE password (email text PRIMARY KEY, hash bytea, username text);
INSERT INTO password SELECT i || '@example.org', sha256(i::text::bytea), 'user ' || i FROM generate_series(1, 100) i;
"""

NEEDED = ("SELECT 'chunk/'||encode(chunk_id,'hex')||'.'||lpad(to_hex(gen),16,'0') FROM storage.chunk_objects "
          "WHERE uploaded AND NOT tombstone;")


class Run:
    def __init__(self, status, output):
        self.status, self.output = status, output
        lines = output.splitlines()
        self.peak_kib = int(lines[-1]) if lines and lines[-1].isdigit() else None

    def __repr__(self):
        return f"status {self.status}: {self.output}"


def sql(server, database):
    """The database as text, without what differs from run to run."""
    run = subprocess.run(["pg_dump", "--dbname", database], env={**os.environ, **server.environment()}, check=True,
                         stdout=subprocess.PIPE, timeout=300)
    return re.sub(rb"(?m)^\\(un)?restrict .*$", b"", run.stdout)


def block_starts(archive):
    """Where the data blocks of an archive in custom format begin (version 1.14: integers of a sign and four bytes)."""
    def end_of_block(at):
        at += 1 + 5
        while True:
            if at + 5 > len(archive) or archive[at] != 0:
                return None
            length = int.from_bytes(archive[at + 1:at + 5], "little")
            at += 5 + length
            if not length:
                return at

    for match in re.finditer(rb"\x01\x00(?=.{3}\x00\x00)", archive, re.DOTALL):
        starts, at = [], match.start()
        while at is not None and at < len(archive) and archive[at] == 1:
            starts.append(at)
            at = end_of_block(at)
        if at == len(archive):
            return starts
    raise AssertionError("no data blocks found")


class DatabaseDump(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = postgres_server.PostgresServer()
        cls.addClassCleanup(cls.server.stop)
        cls.server.create("pachyderm", "dex")
        cls.server.psql("pachyderm", METADATA)
        cls.server.psql("dex", DEX)
        cls.needed = sorted(cls.server.psql("pachyderm", NEEDED).splitlines())
        cls.folder = tempfile.mkdtemp(prefix="pbcopy-database-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.keys = []
        for name in ("key", "other"):
            path = os.path.join(cls.folder, name)
            if shutil.which("age-keygen"):
                subprocess.run(["age-keygen", "--output", path], check=True, stderr=subprocess.DEVNULL, timeout=30)
                recipient = subprocess.run(["age-keygen", "-y", path], check=True, stdout=subprocess.PIPE, text=True,
                                           timeout=30).stdout.strip()
                cls.keys.append((path, recipient))
        # One good dump of each kind, for the tests of damage.
        cls.plain = os.path.join(cls.folder, "plain")
        cls.run_program("dump", "pachyderm", cls.plain, status=0)
        with open(cls.plain, "rb") as file:
            cls.stored = file.read()

    @classmethod
    def start_program(cls, *arguments, server=None, path=None, **environment):
        variables = {**os.environ, **(server or cls.server).environment(), **environment}
        if path:
            variables["PATH"] = path + ":" + variables["PATH"]
        return subprocess.Popen([PROGRAM, *arguments], env=variables, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    @classmethod
    def run_program(cls, *arguments, status=None, **options):
        process = cls.start_program(*arguments, **options)
        output, _ = process.communicate(timeout=280)
        run = Run(process.returncode, output)
        if status is not None and run.status != status:
            raise AssertionError(f"{arguments}: expected {status}, got {run}")
        return run

    def file(self, name):
        return os.path.join(self.folder, f"{self._testMethodName}-{name}")

    def with_stored(self, stored, of=None):
        """A file with these stored bytes, and what snapshot.json says of `of`."""
        path = self.file("changed")
        with open(path, "wb") as file:
            file.write(stored)
        shutil.copyfile((of or self.plain) + ".artifact", path + ".artifact")
        return path

    def fake(self, program, script):
        """A folder for PATH in which `program` is a shell script; $REAL is the true one."""
        folder = self.file("bin-" + program)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, program)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"#!/bin/bash\nREAL={shutil.which(program)}\n{script}\n")
        os.chmod(path, 0o755)
        return folder

    def target(self):
        """A new, empty database."""
        name = "target_" + self._testMethodName
        subprocess.run(["dropdb", "--if-exists", "--force", name], check=True, stderr=subprocess.DEVNULL, timeout=60,
                       env={**os.environ, **self.server.environment()})
        self.server.create(name)
        return name

    def assert_empty(self, database):
        self.assertRegex(self.run_program("server", database, status=0).output, ", empty\n")

    def keys_in(self, path):
        with open(path + ".chunks", encoding="ascii") as file:
            return sorted(file.read().splitlines())

    def wait_for(self, path):
        deadline = time.monotonic() + 60
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), deadline, f"{path} does not come")
            time.sleep(0.02)

    # ---- there and back ----

    def test_round_trip(self):
        self.assertEqual(self.keys_in(self.plain), self.needed)
        target = self.target()
        self.assert_empty(target)
        self.run_program("undump", target, self.plain, status=scenario.OK)
        self.assertEqual(sql(self.server, target), sql(self.server, "pachyderm"))
        self.assertIn("not empty", self.run_program("server", target).output)

    def test_check(self):
        path = self.with_stored(self.stored)
        self.run_program("check", "pachyderm", path, status=scenario.OK, PGPORT="1")
        self.assertEqual(self.keys_in(path), self.needed)

    def test_ordinary_tools_read_it(self):
        archive = subprocess.run(["zstd", "--decompress", "--stdout", self.plain], check=True,
                                 stdout=subprocess.PIPE, timeout=60).stdout
        listed = subprocess.run(["pg_restore", "--list"], input=archive, check=True, stdout=subprocess.PIPE,
                                timeout=60).stdout
        self.assertIn(b"chunk_objects", listed)

    def test_dex_has_no_chunks(self):
        path, target = self.file("dump"), self.target()
        self.run_program("dump", "dex", path, status=scenario.OK)
        self.run_program("undump", target, path, status=scenario.OK)
        self.assertEqual(sql(self.server, target), sql(self.server, "dex"))

    def test_missing_table(self):
        path = self.file("dump")
        run = self.run_program("dump", self.target(), path, status=scenario.FAILED)
        self.assertIn("storage.chunk_objects", run.output)
        target = self.target()
        self.server.psql(target, "CREATE SCHEMA storage; CREATE TABLE storage.chunk_objects (chunk_id bytea, gen "
                                 "bigint, uploaded boolean);")
        run = self.run_program("dump", target, path, status=scenario.FAILED)
        self.assertIn("tombstone", run.output)

    def test_encrypted(self):
        if not self.keys:
            self.skipTest("age is not installed")
        (key, recipient), (other, other_recipient) = self.keys
        path, target = self.file("dump"), self.target()
        self.run_program("dump", "pachyderm", path, "--recipient", recipient, status=scenario.OK)
        with open(path, "rb") as file:
            stored = file.read()
        self.assertTrue(stored.startswith(b"age-encryption.org/v1"))
        self.assertNotIn(SECRET.encode(), stored)
        self.assertEqual(self.keys_in(path), self.needed)
        run = self.run_program("undump", target, path, "--identity", other, status=scenario.REFUSED)
        self.assertIn("identity", run.output)
        self.run_program("undump", target, path, status=scenario.USAGE)
        self.run_program("undump", target, path, "--identity", "/nowhere", status=scenario.USAGE)
        for cut in (0, 100, len(stored) // 2, len(stored) - 1):
            changed = self.with_stored(stored[:cut], path)
            self.run_program("undump", target, changed, "--identity", key, status=scenario.DAMAGED)
        for at in (300, len(stored) // 3, len(stored) - 20):
            changed = self.with_stored(stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1:], path)
            self.run_program("undump", target, changed, "--identity", key, status=scenario.DAMAGED)
        self.assert_empty(target)
        self.run_program("undump", target, path, "--identity", key, status=scenario.OK)
        self.assertEqual(sql(self.server, target), sql(self.server, "pachyderm"))
        self.run_program("dump", "pachyderm", path, "--recipient", recipient, "--recipient", other_recipient, status=0)
        self.run_program("check", "pachyderm", path, "--identity", other, status=scenario.OK)

    def test_all(self):
        path = self.file("dump")
        self.run_program("dump", "pachyderm", path, "--all", status=scenario.OK)
        self.assertEqual(self.keys_in(path), self.needed)
        self.run_program("check", "pachyderm", path, status=scenario.OK)
        self.assertEqual(self.keys_in(path), self.needed)
        second = postgres_server.PostgresServer()
        try:
            self.run_program("undump", "pachyderm", path, server=second, status=scenario.OK)
            for database in ("pachyderm", "dex"):
                self.assertEqual(sql(second, database), sql(self.server, database))
            run = self.run_program("undump", "pachyderm", path, server=second, status=scenario.FAILED)
            self.assertIn("already exists", run.output)
        finally:
            second.stop()
        with open(path, "rb") as file:
            stored = file.read()
        self.run_program("check", "pachyderm", self.with_stored(stored[:-1], path), status=scenario.DAMAGED)

    def test_target_not_empty(self):
        target = self.target()
        self.server.psql(target, "CREATE SCHEMA storage; CREATE TABLE storage.mine (a int);")
        run = self.run_program("undump", target, self.plain, status=scenario.FAILED)
        self.assertIn('schema "storage" already exists', run.output)
        self.assertEqual(self.server.psql(target, "SELECT count(*) FROM pg_namespace WHERE nspname = 'pfs'"), "0")
        self.run_program("undump", target, self.plain, status=scenario.FAILED)

    def test_clean(self):
        target = self.target()
        self.run_program("undump", target, self.plain, "--clean", status=scenario.OK)
        self.server.psql(target, "DELETE FROM storage.keys; INSERT INTO pfs.commits VALUES (1000, 'it''s', 'new');")
        damaged = bytearray(self.stored)
        damaged[len(damaged) // 2] ^= 1
        self.run_program("undump", target, self.with_stored(bytes(damaged)), "--clean", status=scenario.DAMAGED)
        self.assertEqual(self.server.psql(target, "SELECT count(*) FROM pfs.commits"), "501")
        self.run_program("undump", target, self.plain, "--clean", status=scenario.OK)
        self.assertEqual(sql(self.server, target), sql(self.server, "pachyderm"))

    def test_missing_role(self):
        self.server.psql("postgres", "CREATE ROLE gone")
        target, path = self.target(), self.file("dump")
        self.server.psql(target, "CREATE SCHEMA storage; CREATE TABLE storage.chunk_objects (chunk_id bytea, gen bigint, "
                                 "uploaded boolean, tombstone boolean); ALTER TABLE storage.chunk_objects OWNER TO gone;")
        self.run_program("dump", target, path, status=scenario.OK)
        self.server.psql(target, "DROP SCHEMA storage CASCADE")
        self.server.psql("postgres", "DROP ROLE gone")
        run = self.run_program("undump", target, path, status=scenario.FAILED)
        self.assertIn('role "gone" does not exist', run.output)
        self.assertIn("createuser", run.output)
        self.assert_empty(target)

    # ---- dumps that are cut ----

    def test_dump_dies(self):
        path = self.file("dump")
        for name, script in (("killed", '"$REAL" "$@" | head -c 300000; kill -KILL $$'),
                             ("fails", '"$REAL" "$@"; exit 1'),
                             ("says", '"$REAL" "$@"; echo "pg_dump: error: late" >&2; exit 1')):
            run = self.run_program("dump", "pachyderm", path, path=self.fake("pg_dump", script))
            self.assertNotEqual(run.status, 0, f"{name}: {run}")
            self.assertFalse(os.path.exists(path + ".artifact"))
        self.assertIn("late", run.output)

    def test_cut_archive_with_status_0(self):
        path = self.file("dump")
        archive = subprocess.run(["zstd", "--decompress", "--stdout", self.plain], check=True,
                                 stdout=subprocess.PIPE, timeout=60).stdout
        starts = block_starts(archive)
        self.assertGreater(len(starts), 2)
        cuts = {0, 1, 100, 4096, starts[0] - 1, len(archive) // 2, *starts, *(start + 6 for start in starts),
                *(len(archive) - n for n in (1, 2, 4, 5, 6, 100))}
        for cut in sorted(cuts):
            fake = self.fake("pg_dump", f'"$REAL" "$@" | head -c {cut}; exit 0')
            run = self.run_program("dump", "pachyderm", path, path=fake)
            self.assertEqual(run.status, scenario.DAMAGED, f"cut at {cut} of {len(archive)}: {run}")
            self.assertFalse(os.path.exists(path + ".artifact"))

    def test_cut_dumpall_with_status_0(self):
        path = self.file("dump")
        for cut in (0, 1000, 300_000):
            fake = self.fake("pg_dumpall", f'"$REAL" "$@" | head -c {cut}; exit 0')
            self.run_program("dump", "pachyderm", path, "--all", path=fake, status=scenario.DAMAGED)
        fake = self.fake("pg_dumpall", '"$REAL" "$@" | head -c -3; exit 0')
        self.run_program("dump", "pachyderm", path, "--all", path=fake)
        fake = self.fake("pg_dumpall", '"$REAL" "$@" | head -n -5; exit 0')
        self.run_program("dump", "pachyderm", path, "--all", path=fake, status=scenario.DAMAGED)

    def test_connection_is_lost(self):
        path = self.file("dump")
        process = self.start_program("dump", "pachyderm", path, "--stall-ms", "2500")
        self.wait_for(path + ".stalled")
        ended = self.server.psql("postgres", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                                             "application_name IN ('pbcopy', 'pg_dump')")
        output, _ = process.communicate(timeout=60)
        self.assertGreater(int(ended), 0, output)
        self.assertEqual(process.returncode, scenario.UNREACHABLE, output)
        self.assertFalse(os.path.exists(path + ".artifact"))

    # ---- damage ----

    def test_damage_is_not_committed(self):
        target = self.target()
        size = len(self.stored)
        for cut in (0, 1, 1000, size // 2, size - 70_000, size - 5, size - 1):
            run = self.run_program("undump", target, self.with_stored(self.stored[:cut]))
            self.assertEqual(run.status, scenario.DAMAGED, f"cut at {cut} of {size}: {run}")
        for at in (0, 1000, size // 3, size // 2, size - 50_000, size - 1):
            changed = bytearray(self.stored)
            changed[at] ^= 1
            run = self.run_program("undump", target, self.with_stored(bytes(changed)))
            self.assertEqual(run.status, scenario.DAMAGED, f"changed at {at} of {size}: {run}")
        # Sound in itself, but not what the snapshot names.
        archive = subprocess.run(["zstd", "--decompress", "--stdout", self.plain], check=True,
                                 stdout=subprocess.PIPE, timeout=60).stdout
        other = archive.replace(SECRET.encode().hex().encode(), b"00" * len(SECRET))
        self.assertNotEqual(other, archive)
        for changed in (other, archive + bytes(200_000), archive + b"\0"):
            stored = subprocess.run(["zstd", "--stdout"], input=changed, check=True, stdout=subprocess.PIPE,
                                    timeout=60).stdout
            self.run_program("undump", target, self.with_stored(stored), status=scenario.DAMAGED)
        self.assert_empty(target)

    def test_killed_restore(self):
        target = self.target()
        process = self.start_program("undump", target, self.plain, "--stall-ms", "60000")
        self.wait_for(self.plain + ".stalled")
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        os.unlink(self.plain + ".stalled")
        deadline = time.monotonic() + 30
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{target}'"
        while self.server.psql("postgres", query) != "0":
            self.assertLess(time.monotonic(), deadline, "pg_restore outlives who feeds it")
            time.sleep(0.1)
        self.assert_empty(target)

    def test_restore_loses_its_server(self):
        target = self.target()
        path = self.with_stored(self.stored)
        process = self.start_program("undump", target, path, "--stall-ms", "2500")
        self.wait_for(path + ".stalled")
        time.sleep(0.5)
        self.server.psql("postgres", f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = "
                                     f"'{target}'")
        output, _ = process.communicate(timeout=60)
        self.assertNotIn(process.returncode, (0, scenario.DAMAGED), output)
        self.assert_empty(target)

    # ---- no server, no rights, no programs ----

    def test_no_server(self):
        target, path = self.target(), self.file("dump")
        wrong = {"PGPORT": str(postgres_server.free_port())}
        self.run_program("dump", "pachyderm", path, status=scenario.UNREACHABLE, **wrong)
        self.run_program("undump", target, self.plain, status=scenario.UNREACHABLE, **wrong)
        self.run_program("server", "pachyderm", status=scenario.UNREACHABLE, **wrong)

    def test_wrong_password(self):
        target, path = self.target(), self.file("dump")
        for arguments in (("dump", "pachyderm", path), ("undump", target, self.plain), ("server", "pachyderm")):
            run = self.run_program(*arguments, status=scenario.REFUSED, PGPASSWORD="marked-wrong-password")
            self.assertNotIn("marked-wrong-password", run.output)

    def test_no_such_database(self):
        path = self.file("dump")
        for arguments in (("dump", "nowhere", path), ("undump", "nowhere", self.plain), ("server", "nowhere")):
            self.run_program(*arguments, status=scenario.NOT_FOUND)

    def test_versions(self):
        self.assertRegex(self.run_program("server", "pachyderm", status=0).output,
                         r"^server 15\.\d+ 1500\d\d, client 15\.\d+ 1500\d\d, not empty\n")
        fake = self.fake("pg_dump", 'echo "pg_dump (PostgreSQL) 17.2 (Debian 17.2-1)"')
        self.assertIn("client 17.2 170002", self.run_program("server", "pachyderm", path=fake).output)
        fake = self.fake("pg_dump", 'echo "pg_dump: error: aborting because of server version mismatch" >&2; echo '
                                    '"pg_dump: detail: server version: 16.1; pg_dump version: 15.8" >&2; exit 1')
        run = self.run_program("dump", "pachyderm", self.file("dump"), path=fake, status=scenario.USAGE)
        self.assertIn("16.1", run.output)
        self.assertIn("15.8", run.output)

    def test_missing_programs(self):
        empty = self.file("empty")
        os.makedirs(empty)
        path = self.file("dump")
        for programs in ((), ("pg_dump",), ("pg_restore",)):
            for name in glob.glob(os.path.join(empty, "*")):
                os.unlink(name)
            for program in programs:
                os.symlink(shutil.which(program), os.path.join(empty, program))
            self.run_program("dump", "pachyderm", path, status=scenario.USAGE, PATH=empty)
        self.run_program("undump", self.target(), self.plain, status=scenario.OK)

    def test_password_is_in_no_argument(self):
        log = self.file("log")
        for program in ("pg_dump", "pg_restore"):
            fake = self.fake(program, f'tr "\\0" "\\n" </proc/$$/cmdline >>{log}; exec "$REAL" "$@"')
            self.run_program("dump", "pachyderm", self.file("dump"), path=fake, status=scenario.OK)
            self.run_program("undump", self.target(), self.plain, path=fake, status=scenario.OK)
        with open(log, encoding="utf-8") as file:
            text = file.read()
        self.assertIn("--single-transaction", text)
        self.assertNotIn(postgres_server.PASSWORD, text)

    # ---- size ----

    def test_memory(self):
        """300 MB that compress to nothing, held up on their way out: what is queued is bounded."""
        source, path = self.target(), self.file("dump")
        self.server.psql(source, "CREATE SCHEMA storage; CREATE TABLE storage.chunk_objects (chunk_id bytea, gen bigint, "
                                 "uploaded boolean, tombstone boolean); CREATE TABLE public.big (a text); INSERT INTO "
                                 "public.big SELECT repeat('pachyderm ', 10000) FROM generate_series(1, 3000);")
        dumped = self.run_program("dump", source, path, "--stall-ms", "1500", status=scenario.OK)
        self.assertTrue(os.path.exists(path + ".stalled"))
        with open(path + ".artifact", encoding="ascii") as file:
            self.assertGreater(int(file.read().split()[2]), 300_000_000)
        self.assertLess(os.path.getsize(path), 3_000_000)
        checked = self.run_program("check", source, path, status=scenario.OK)
        self.server.psql(source, "DROP SCHEMA storage CASCADE; DROP TABLE public.big")
        restored = self.run_program("undump", source, path, status=scenario.OK)
        self.assertEqual(self.server.psql(source, "SELECT count(*) FROM public.big"), "3000")
        for run in (dumped, checked, restored):
            print(f"peak of memory: {run.peak_kib} KiB")
            if not scenario.is_sanitized():
                self.assertLess(run.peak_kib, 48 * 1024)


if __name__ == "__main__":
    if not os.access(PROGRAM, os.X_OK):
        scenario.unavailable("$PROGRAMS has no database_program")
    scenario.main()
