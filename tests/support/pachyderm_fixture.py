"""A Pachyderm as far as a backup sees it: the workloads of its namespace (in the shape of 2.8 or of 2.11), its
databases and its bucket; and the question whether a bucket and a database belong together.

What the shapes hold is said in docs/pachyderm.md.
"""

import base64
import concurrent.futures
import hashlib
import io
import json
import os
import subprocess
import sys
import time

import scenario

HERE = os.path.dirname(os.path.abspath(__file__))

# Secrets that must not be seen anywhere: each is searched for.
MARKS = {
    "database": "marked-database-password-7d1f",
    "storage": "marked-storage-secret-9b2e",
    "storage-key": "marked-chunk-key-51c0",
    "user": "marked-user-secret-3a77",
    "auth": "marked-auth-token-e84d",
}

HELM_RELEASE = "sh.helm.release.v1.pachyderm.v1"

SCHEMA = """
CREATE SCHEMA storage; CREATE SCHEMA pfs; CREATE SCHEMA pps; CREATE SCHEMA collections;
CREATE TABLE storage.chunk_objects (chunk_id bytea NOT NULL, gen bigserial NOT NULL, uploaded bool NOT NULL
    DEFAULT false, tombstone bool NOT NULL DEFAULT false, size bigint NOT NULL, PRIMARY KEY (chunk_id, gen));
CREATE TABLE storage.keys (name text PRIMARY KEY, data bytea NOT NULL);
CREATE TABLE storage.filesets (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), metadata bytea);
CREATE TABLE pfs.commits (int_id bigserial PRIMARY KEY, commit_id text, description text);
CREATE TABLE pps.jobs (id bigserial PRIMARY KEY, state int);
CREATE TABLE collections.repos (key text PRIMARY KEY, proto bytea, updatedat timestamptz DEFAULT now());
CREATE FUNCTION pfs.notify() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    -- A line that looks like data:
    -- COPY storage.chunk_objects (chunk_id) FROM stdin;
    PERFORM pg_notify('pfs', 'it''s; done $$'); RETURN NEW;
END $body$;
CREATE TRIGGER t AFTER INSERT ON pfs.commits FOR EACH ROW EXECUTE FUNCTION pfs.notify();
INSERT INTO storage.keys VALUES ('default', 'marked-chunk-key-51c0');
INSERT INTO pfs.commits (commit_id, description) VALUES ('a', E'tab\\there; COPY x FROM stdin;\\n\\\\.\\nback\\\\slash');
"""

NEEDED = ("SELECT 'chunk/'||encode(chunk_id,'hex')||'.'||lpad(to_hex(gen),16,'0') FROM storage.chunk_objects "
          "WHERE uploaded AND NOT tombstone")


def chunk(number, salt=""):
    """The bytes of a chunk."""
    return f"{salt}{number}:".encode() * 8


def chunk_key(body, gen):
    return f"chunk/{hashlib.blake2b(body, digest_size=32).hexdigest()}.{gen:016x}"


class Pachyderm:
    """One fixture cluster: a namespace, a PostgreSQL server, a bucket of an origin."""

    def __init__(self, cluster, postgres, origin, bucket, namespace, shape="2.11", workers=2, own_database=False):
        self.cluster, self.postgres, self.origin, self.bucket_name = cluster, postgres, origin, bucket
        self.namespace, self.shape, self.workers = namespace, shape, workers
        self.own_database = own_database  # pachd finds PostgreSQL in its namespace, as the chart has it by default
        self.version = {"2.8": "2.8.5", "2.11": "2.11.4"}[shape]
        self.simulation = None

    @property
    def bucket(self):
        return self.origin.bucket(self.bucket_name)

    def url(self, bucket):
        """Of a bucket beside its own, for pbcopy."""
        return self.origin.url(bucket)

    @property
    def storage_url(self):
        return self.url(self.bucket_name)

    # ---- what clouds differ in (cloud_fixtures.py) ----

    def storage_environment(self):
        """Variables of pachd and pachw."""
        if self.shape == "2.11":
            return {"STORAGE_URL": self.storage_url}
        return {"STORAGE_BACKEND": "AMAZON"}

    def storage_secret(self):
        storage = {"AMAZON_ID": scenario.ACCESS_KEY, "AMAZON_SECRET": scenario.SECRET_KEY,
                   "AMAZON_REGION": scenario.REGION,
                   "AMAZON_BUCKET": self.bucket_name if self.shape == "2.8" else "stale-name"}
        if self.shape == "2.8":
            storage.update(CUSTOM_ENDPOINT=self.origin.endpoint, DISABLE_SSL="true")
        return storage

    def database_environment(self):
        return {"POSTGRES_HOST": "postgres" if self.own_database else self.postgres.host,
                "POSTGRES_PORT": "5432" if self.own_database else str(self.postgres.port)}

    def annotations(self, _account):
        """Of a service account."""
        return {"iam.gke.io/gcp-service-account": "old@project.iam.gserviceaccount.com"}

    def more_objects(self):
        return []

    # ---- the namespace ----

    def _secret(self, name, data, **more):
        metadata = {"name": name, "namespace": self.namespace, "labels": more.pop("labels", {"suite": "pachyderm"})}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": more.get("type", "Opaque"),
                "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}

    def _workload(self, kind, name, replicas, image, env=(), account=None, arguments=()):
        labels = {"app": name, "suite": "pachyderm"}
        container = {"name": name, "image": image, "env": list(env)}
        if arguments:
            container["args"] = list(arguments)
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        if account:
            spec["serviceAccountName"] = account
        body = {"replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec}}
        if kind == "StatefulSet":
            body["serviceName"] = name
        return {"apiVersion": "apps/v1", "kind": kind,
                "metadata": {"name": name, "namespace": self.namespace, "labels": labels}, "spec": body}

    def _worker(self, number):
        name = f"pipeline-{number}-v1"
        labels = {"app": name, "suite": "pachyderm", "component": "worker", "pipelineName": f"pipeline-{number}"}
        template = {"metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "user", "image": "x", "env": [
                        {"name": "STORAGE_URL", "value": self.storage_url}]}], "terminationGracePeriodSeconds": 0}}
        return [
            {"apiVersion": "v1", "kind": "ReplicationController",
             "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
             "spec": {"replicas": 1, "selector": {"app": name}, "template": template}},
            {"apiVersion": "v1", "kind": "Service",
             "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
             "spec": {"selector": {"app": name}, "ports": [{"port": 1080}]}}]

    def objects(self):
        storage_env = [{"name": name, "value": value} for name, value in self.storage_environment().items()]
        database_env = [{"name": name, "value": value} for name, value in self.database_environment().items()] + [
            {"name": "POSTGRES_USER", "value": "pachyderm"}, {"name": "POSTGRES_DATABASE", "value": "pachyderm"},
            {"name": "POSTGRES_PASSWORD", "valueFrom": {"secretKeyRef": {
                "name": "postgres", "key": "postgresql-password"}}},
            {"name": "PG_BOUNCER_HOST", "value": "pg-bouncer"}, {"name": "PG_BOUNCER_PORT", "value": "5432"}]
        proxy = {"2.8": {"arguments": ["-instances=project:region:old=tcp:0.0.0.0:5432", "-ip_address_types=PRIVATE"]},
                 "2.11": {"env": [{"name": "CSQL_PROXY_INSTANCE_CONNECTION_NAME", "value": "project:region:old"}]}}
        pachd_image = f"registry.example/pachyderm/pachd:{self.version}"
        objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}]
        for name in ("pachyderm", "pachyderm-worker", "k8s-cloudsql-auth-proxy"):
            objects.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
                "name": name, "namespace": self.namespace, "labels": {"suite": "pachyderm"},
                "annotations": self.annotations(name)}})
        storage = {**self.storage_secret(), "note": MARKS["storage"]}
        objects += [
            self._secret("postgres", {"postgresql-password": self.postgres.password}),
            self._secret("pachyderm-storage-secret", storage),
            self._secret("user-secret", {"token": MARKS["user"]},
                         labels={"secret-source": "pachyderm-user", "suite": "pachyderm"}),
            self._secret("pachyderm-auth", {"root-token": MARKS["auth"]}),
            self._secret("pachyderm-deployment-id-secret", {"CLUSTER_DEPLOYMENT_ID": "d"}),
            self._secret("pachyderm-identity", {"clients": "i"}),
            self._secret("pachyderm-console-secret", {"OAUTH_CLIENT_SECRET": "o"}),
            self._secret("pachyderm-license", {"enterprise-license-key": "l"}),
            self._secret(HELM_RELEASE, {"release": "values"}, type="helm.sh/release.v1",
                         labels={"owner": "helm"}),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pachd-config", "namespace": self.namespace},
             "data": {"MODE": "full"}},
            {"apiVersion": "v1", "kind": "ConfigMap",
             "metadata": {"name": "pachyderm-identity-config", "namespace": self.namespace}, "data": {"config": "c"}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
             "metadata": {"name": "pachyderm", "namespace": self.namespace},
             "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
             "metadata": {"name": "pachyderm", "namespace": self.namespace},
             "subjects": [{"kind": "ServiceAccount", "name": "pachyderm", "namespace": self.namespace}],
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "pachyderm"}},
            {"apiVersion": "v1", "kind": "Service",
             "metadata": {"name": "pachd", "namespace": self.namespace, "labels": {"app": "pachd"}},
             "spec": {"selector": {"app": "pachd"}, "ports": [{"port": 30650}]}},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
             "metadata": {"name": "etcd-storage-etcd-0", "namespace": self.namespace},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
            self._workload("StatefulSet", "etcd", 1, "pachyderm/etcd:v3.5.5"),
            self._workload("StatefulSet", "postgres", 1, "pachyderm/postgresql:13.3.0"),
            self._workload("Deployment", "pg-bouncer", 1, "pachyderm/pgbouncer:1.16", [
                {"name": "DB_HOST", "value": self.postgres.host}, {"name": "POSTGRESQL_HOST",
                                                                   "value": self.postgres.host}]),
            self._workload("Deployment", "cloudsql-auth-proxy", 1, "gcr.io/cloudsql-docker/gce-proxy:1.23",
                           proxy[self.shape].get("env", ()), "k8s-cloudsql-auth-proxy",
                           proxy[self.shape].get("arguments", ())),
            self._workload("Deployment", "console", 1, "pachyderm/haberdashery:2"),
            self._workload("Deployment", "pachyderm-proxy", 1, "envoyproxy/envoy:v1.24.1"),
            self._workload("Deployment", "pachd", 1, pachd_image, storage_env + database_env, "pachyderm"),
            self._workload("Deployment", "pachw", 2, pachd_image, storage_env + database_env, "pachyderm"),
        ]
        if self.own_database:
            labels = {"app": "postgres", "suite": "pachyderm"}
            objects.append({"apiVersion": "v1", "kind": "Service",
                            "metadata": {"name": "postgres", "namespace": self.namespace, "labels": labels},
                            "spec": {"selector": labels, "ports": [{"port": 5432}]}})
        objects += self.more_objects()
        if self.shape == "2.8":
            objects.append(self._workload("Deployment", "pach-enterprise", 1, pachd_image))
        # As helm leaves what a chart makes; of these, pachd and users make the others.
        for item in objects[1:]:
            if item["metadata"]["name"] not in ("pachd-config", "user-secret", HELM_RELEASE):
                metadata = item["metadata"]
                metadata["labels"] = {**metadata.get("labels", {}), "app.kubernetes.io/managed-by": "Helm"}
                metadata["annotations"] = {**metadata.get("annotations", {}),
                                           "meta.helm.sh/release-name": "pachyderm",
                                           "meta.helm.sh/release-namespace": self.namespace}
        return objects

    def worker_objects(self):
        return [each for number in range(self.workers) for each in self._worker(number)]

    def deploy(self):
        namespace, *others = self.objects()
        self.cluster.apply([namespace])
        self.cluster.apply(others + self.worker_objects())
        scenario.wait_until(self.is_up, 120, f"the pods of {self.namespace}", poll_s=0.3)

    @property
    def counts(self):
        counts = {"deployments/pachd": 1, "deployments/pachw": 2}
        counts.update({f"replicationcontrollers/pipeline-{n}-v1": 1 for n in range(self.workers)})
        return counts

    def is_up(self):
        """Do all that write have the counts that they should, ready?"""
        ready = self.cluster.ready(self.namespace)
        return all(ready.get(name) == count for name, count in self.counts.items())

    def is_scaled_up(self):
        replicas = self.cluster.replicas(self.namespace)
        return all(replicas.get(name, 0) == count for name, count in self.counts.items())

    def is_suspended(self):
        return self.cluster.exists(f"/api/v1/namespaces/{self.namespace}/configmaps/pbcopy-suspension")

    # ---- its state ----

    def make_databases(self):
        # A probe of pachd's, which no backup wants.
        self.bucket.put("test/7e57ab1e-0000-4000-8000-000000000000", b"probe")
        self.postgres.create("pachyderm", "dex")
        self.postgres.psql("pachyderm", SCHEMA)
        self.postgres.psql("dex", "CREATE TABLE password (email text PRIMARY KEY, hash bytea); "
                                  "INSERT INTO password VALUES ('a@b', 'x')")

    def load(self, count, first=1, salt=""):
        """Chunks with their objects: `count` of them, of generations from `first` on."""
        def put(gen):
            body = chunk(gen, salt)
            self.bucket.put(chunk_key(body, gen), body)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(put, range(first, first + count)))
        bodies = ((gen, chunk(gen, salt)) for gen in range(first, first + count))
        self._add_rows((hashlib.blake2b(body, digest_size=32).hexdigest(), gen, len(body)) for gen, body in bodies)

    def load_what_is_there(self):
        """Rows for all chunks that the origin has filled its bucket with; how many."""
        chunks = self.bucket.list("chunk/")
        # bigint is signed, and to_hex() of it has the same digits again.
        self._add_rows((key[6:70], int.from_bytes(bytes.fromhex(key[71:]), "big", signed=True), size)
                       for key, size in chunks.items())
        return len(chunks)

    def _add_rows(self, chunks):
        rows = io.StringIO("".join(f"\\\\x{digest}\t{gen}\tt\tf\t{size}\n" for digest, gen, size in chunks))
        connection = self.postgres.connect("pachyderm")
        with connection, connection.cursor() as cursor:
            cursor.copy_expert("COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone, size) FROM STDIN", rows)
            cursor.execute("SELECT setval('storage.chunk_objects_gen_seq', greatest(nextval('storage.chunk_objects_gen_seq'),"
                           " (SELECT max(gen) + 1000000 FROM storage.chunk_objects WHERE gen < 1::bigint << 60)))")
        connection.close()

    def start_simulation(self, **more):
        """pachd, as far as it writes and scales: see simulated_pachd.py. Ends with stop_simulation()."""
        settings = {"port": self.cluster.port, "token": self.cluster.token,
                    "ca": os.path.join(self.cluster.directory, "pki", "ca.crt"), "namespace": self.namespace,
                    "counts": self.counts, "postgres": {"host": self.postgres.host, "port": self.postgres.port,
                                                        "user": self.postgres.user, "dbname": "pachyderm",
                                                        "password": self.postgres.password},
                    "endpoint": self.origin.endpoint, "bucket": self.bucket_name,
                    "access_key": self.origin.access_key, "secret_key": self.origin.secret_key, **more}
        self.simulation = subprocess.Popen([sys.executable, os.path.join(HERE, "simulated_pachd.py")],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                           preexec_fn=scenario._die_with_parent)
        self.simulation.stdin.write(json.dumps(settings) + "\n")
        self.simulation.stdin.close()
        if not self.simulation.stdout.readline():  # it writes
            raise RuntimeError("the simulated pachd has ended before it wrote anything")

    def stop_simulation(self):
        if self.simulation:
            ended = self.simulation.poll()
            self.simulation.terminate()
            self.simulation.wait(30)
            self.simulation.stdout.close()
            self.simulation = None
            if ended is not None:
                raise RuntimeError(f"the simulated pachd has ended by itself, with {ended}")

    def written(self):
        """How many chunks the database has ever had: it grows while the simulation writes."""
        return int(self.postgres.psql("pachyderm", "SELECT last_value FROM storage.chunk_objects_gen_seq"))


def copy_naively(here, postgres, bucket):
    """What one would do without pbcopy: the bucket, and then the database, with everything as it runs."""
    target, keys = here.origin.bucket(bucket), here.bucket.list("chunk/")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(target.delete, target.list()))

    def copy(key):
        try:
            target.put(key, here.bucket.get(key))
        except here.origin.client.exceptions.NoSuchKey:
            pass  # collected meanwhile

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(copy, keys))
    dump = subprocess.run(["pg_dump", "--format=custom", "pachyderm"], stdout=subprocess.PIPE, check=True, timeout=120,
                          env={**os.environ, **here.postgres.environment()}).stdout
    subprocess.run(["dropdb", "--if-exists", "pachyderm"], check=True, timeout=60,
                   env={**os.environ, **postgres.environment(), "PGOPTIONS": "-c client_min_messages=error"})
    postgres.create("pachyderm")
    subprocess.run(["pg_restore", "--dbname=pachyderm", "--exit-on-error"], input=dump, check=True, timeout=120,
                   env={**os.environ, **postgres.environment()})


def disagreements(postgres, bucket, bytes_too=True):
    """Chunks that a database needs and a bucket has not, or has with other bytes than their names say. Of many, bytes of
    2,000 are read. While pachd writes, a chunk can be collected between the two questions."""
    needed = postgres.psql("pachyderm", NEEDED).split()
    there = bucket.list("chunk/")
    missing = [key for key in needed if key not in there]
    if not bytes_too:
        return missing
    sample = [key for key in needed if key in there][:: max(1, len(needed) // 2000)]

    def is_wrong(key):
        return hashlib.blake2b(bucket.get(key), digest_size=32).hexdigest() != key[6:70]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wrong = [key for key, bad in zip(sample, pool.map(is_wrong, sample)) if bad]
    return missing + wrong


def age_key(folder):
    """(public key, file of the private one)."""
    path = os.path.join(folder, "identity.txt")
    run = subprocess.run(["age-keygen", "-o", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, timeout=60, check=True)
    return run.stderr.strip().rsplit(" ", 1)[1], path
