"""Clusters as they stand on GKE, on EKS and beside a MinIO: init, doctor, a backup and a restore into another namespace,
bucket and database, with one command each and the logins that are there."""

import base64
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from aws_endpoints import ROLE, AwsEndpoints
from cloud_fixtures import (ACCOUNTS, EksPachyderm, GkePachyderm, GoogleLogins, MinioPachyderm, MinioStore, TlsOrigin,
                            has_minio)
from cluster_scenario import ClusterScenario
import postgres_server

BUCKETS = ("pachyderm", "repository", "restored")
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


class Clouds(ClusterScenario):
    def setUp(self):
        super().setUp()
        self.cloud = {}  # of pbcopy's environment

    def environment(self):
        return {**super().environment(), **self.cloud}

    def tls_server(self, *names):
        """A PostgreSQL that takes TLS alone, and the certificate that signs its."""
        ca, certificate, key = self.certificates(names=",".join(f"DNS:{name}" for name in names))
        server = postgres_server.PostgresServer((certificate, key))
        self.addCleanup(server.stop)
        return server, ca

    # ---- what a namespace holds ----

    def object_of(self, namespace, kind, name):
        return json.loads(self.cluster.kubectl("--namespace", namespace, "get", kind, name, "-o", "json"))

    def secret_of(self, namespace):
        data = self.object_of(namespace, "secret", "pachyderm-storage-secret")["data"]
        return {name: base64.b64decode(value).decode() for name, value in data.items()}

    def variables_of(self, namespace, name):
        containers = self.object_of(namespace, "deployment", name)["spec"]["template"]["spec"]["containers"]
        return {each["name"]: each.get("value") for container in containers for each in container.get("env", [])}

    def annotations_of(self, namespace, annotation):
        return [self.object_of(namespace, "serviceaccount", name)["metadata"]["annotations"].get(annotation)
                for name in ACCOUNTS]

    # ---- the commands ----

    def init(self, here, **answers):
        """What `init` writes, and the path of it with its places filled in and `answers` added."""
        path = os.path.join(self.folder, "made.yaml")
        self.succeed("init", "--from-cluster", "--namespace", here.namespace, "--kubeconfig", self.cluster.kubeconfig,
                     "--config", path, **self.environment())
        with open(path, encoding="utf-8") as file:
            made = file.read()
        filled = made
        for empty in ("s3://FILL-IN", "gs://FILL-IN"):
            filled = filled.replace(empty, here.url("repository"))
        filled = filled.replace("age1FILL-IN", self.recipient)
        answers = {"kubeconfig": self.cluster.kubeconfig, "wait": 120, **answers}
        with open(path, "w", encoding="utf-8") as file:
            file.write(filled + "".join(f"{name}: {json.dumps(value)}\n" for name, value in answers.items()))
        return made, path

    def wrong(self, configuration, check, *says, **more):
        """What `doctor` reports of one check."""
        run = self.pbcopy("doctor", "--config", configuration, **{**self.environment(), **more})
        self.assertEqual(run.exit_code, scenario.FAILED, run)
        report = run.stdout + run.stderr
        self.assertIn(f"WRONG   {check}", report, run)
        for text in says:
            self.assertIn(text, report, run)
        return run

    def assert_restored(self, here, there, namespace, chunks):
        self.assert_agrees(there, here.origin.bucket("restored"))
        self.assertEqual(len(here.origin.bucket("restored").list("chunk/")), chunks)
        self.assertEqual(there.psql("dex", "SELECT count(*) FROM password"), "1")
        self.assertEqual(self.cluster.ready(namespace).get("deployments/pachd"), 1)

    def assert_nothing_shown(self, secrets, *runs):
        for secret in filter(None, secrets):
            for run in runs:
                self.assertNotIn(secret, run.stdout + run.stderr)

    # ---- Google Cloud ----

    def gke(self, shape, credential=None):
        """A cluster, and the stand-in of Google's logins: without `credential` the metadata server is the login."""
        origin = TlsOrigin("--latency-ms", "0", certificates=self.certificates(), buckets=BUCKETS)
        self.addCleanup(origin.stop)
        logins = GoogleLogins(origin)
        self.addCleanup(logins.stop)

        class Here(GkePachyderm):
            pass

        Here.credential = logins.service_account() if credential else None
        here = self.pachyderm(chunks=40, shape=shape, workers=1, origin=origin, fixture=Here)
        self.cloud = {**here.environment(), **NO_KEYS}
        return here, logins

    def there(self):
        server = self.postgres()
        server.create("pachyderm", "dex")
        return server, self.new_namespace("again")

    def gke_round_trip(self, shape, credential):
        here, logins = self.gke(shape, credential)
        if credential:
            path = os.path.join(self.folder, "key.json")
            with open(path, "w", encoding="ascii") as file:
                json.dump(logins.service_account(), file)
            os.chmod(path, 0o600)
            self.cloud["GOOGLE_APPLICATION_CREDENTIALS"] = path  # of the repository; the source's is in the secret
        else:
            self.cloud["GCE_METADATA_HOST"] = logins.host
        made, path = self.init(here, **{"ca-bundle": here.origin.ca})
        for text in ("# source: gs://pachyderm\n", "gs://FILL-IN", "key GOOGLE_CRED" if credential else "workload identity",
                     f"# database-host: cloudsql-auth-proxy.{here.namespace}.svc\n"):
            self.assertIn(text, made)
        doctor = self.succeed("doctor", "--config", path, **self.environment())
        self.assertIn("gs://pachyderm/: it is listed and read", doctor.stdout + doctor.stderr)
        backup = self.backup(here, "--json", configuration=path)
        cluster = backup.json()["snapshot"]["cluster"]
        self.assertEqual((cluster["pachyderm"], cluster["chunks_needed"]), (here.version, 40))
        self.assertTrue(here.is_scaled_up())
        verify = self.succeed("verify", here.url("repository"), "--read", "--database", "--identity", self.identity,
                              "--ca-bundle", here.origin.ca, "--json", **self.environment())
        self.assertEqual(verify.json()["findings_total"], 0)

        # Its own bucket is refused, however it is spelled.
        there, namespace = self.there()
        for bucket, more in (("gs://pachyderm", ()), ("gcs://pachyderm", ()),
                             ("gs://restored", ("--bucket", "gs://pachyderm")),
                             ("gs://restored", ("--bucket", "s3://pachyderm?endpoint=https://storage.googleapis.com"))):
            run = self.pbcopy("restore", "--config", path, "--namespace", namespace, here.url("repository"), bucket,
                              "--identity", self.identity, "--dump", "none", *more, **self.environment())
            self.assert_failed(run, scenario.USAGE, f"is the bucket of the cluster in namespace {here.namespace}",
                               hint="--allow-live-bucket")
        self.assertEqual(here.origin.bucket("restored").list(), {})

        new = {**logins.service_account(), "private_key_id": "of-the-new-bucket"}
        edits = ["--cloudsql-instance", "project:region:new", "--gcp-service-account",
                 "pachyderm=pachd@new.iam.gserviceaccount.com", "--gcp-service-account",
                 "pachyderm-worker=worker@new.iam.gserviceaccount.com", "--gcp-service-account",
                 "k8s-cloudsql-auth-proxy=sql@new.iam.gserviceaccount.com", "--drop-service-account-secrets"]
        if credential:
            keys = os.path.join(self.folder, "bucket-credentials.yaml")
            with open(keys, "w", encoding="ascii") as file:
                file.write(json.dumps({"GOOGLE_CRED": json.dumps(new)}) + "\n")
            edits += ["--bucket-credentials", keys]
        restored = self.restore(here, namespace, there, *edits, configuration=path,
                                database=("--database-host", "127.0.0.1"))
        self.assert_restored(here, there, namespace, 40)
        self.assertEqual(self.annotations_of(namespace, "iam.gke.io/gcp-service-account"),
                         [f"{name}@new.iam.gserviceaccount.com" for name in ("pachd", "worker", "sql")])
        secret, pachd = self.secret_of(namespace), self.variables_of(namespace, "pachd")
        self.assertEqual(secret["GOOGLE_BUCKET"], "restored")
        self.assertEqual(json.loads(secret["GOOGLE_CRED"]) if credential else secret["GOOGLE_CRED"], new if credential else "")
        self.assertEqual((pachd.get("STORAGE_URL"), pachd["STORAGE_BACKEND"]),
                         ("gs://restored" if shape == "2.11" else None, "GOOGLE"))
        self.assertEqual(pachd["POSTGRES_HOST"], "cloudsql-auth-proxy")
        proxy = self.object_of(namespace, "deployment", "cloudsql-auth-proxy")
        self.assertIn("project:region:new", json.dumps(proxy["spec"]))
        self.assertNotIn("project:region:old", json.dumps(proxy["spec"]))

        self.assertEqual(logins.problems, [])
        self.assertEqual("/token" in logins.paths, credential)
        self.assert_nothing_shown([*logins.secrets()[:50], logins.service_account()["private_key"][60:120].replace("\n", "")],
                                  doctor, backup, verify, restored)
        return here, path

    def test_gke_with_the_key_in_the_secret(self):
        self.gke_round_trip("2.8", True)

    def test_gke_with_workload_identity(self):
        here, path = self.gke_round_trip("2.11", False)
        # From outside, where no metadata server is: it says what pachd goes by, and what pbcopy needs.
        self.wrong(path, "source", "found no GOOGLE_CRED in secret pachyderm-storage-secret", "workload identity",
                   "GOOGLE_APPLICATION_CREDENTIALS", GCE_METADATA_HOST=None, NO_GCE_CHECK="true")
        run = self.pbcopy("backup", "--config", path, **{**self.environment(), "GCE_METADATA_HOST": None,
                                                         "NO_GCE_CHECK": "true"})
        self.assertEqual(run.exit_code, scenario.USAGE, run)
        self.assertIn("found no GOOGLE_CRED", run.stderr)
        self.assertTrue(here.is_scaled_up())

    def test_azure_is_refused_by_name(self):
        here = self.pachyderm(chunks=10, workers=1)
        self.backup(here)
        namespace = self.new_namespace("again")
        run = self.pbcopy("restore", "--config", self.configuration(here), "--namespace", namespace,
                          here.url("repository"), here.url("restored"), "--identity", self.identity, "--dump", "none",
                          "--bucket", "azblob://container", **self.environment())
        self.assert_failed(run, scenario.USAGE, ["--bucket azblob://container", "Azure is not supported"])
        self.assertEqual(here.origin.bucket("restored").list(), {})
        self.cluster.kubectl("--namespace", here.namespace, "set", "env", "deployment/pachd",
                             "STORAGE_URL=azblob://container", "STORAGE_BACKEND=MICROSOFT")
        scenario.wait_until(here.is_up, 60, "pachd to be rolled", poll_s=0.3)
        before = self.committed(here.url("repository"))
        run = self.pbcopy("backup", "--config", self.configuration(here), **self.environment())
        self.assertEqual(run.exit_code, scenario.USAGE, run)
        self.assertIn("keeps its data in Azure Blob Storage (azblob://container)", run.stderr)
        self.assertEqual(self.committed(here.url("repository")), before)
        self.assertTrue(here.is_scaled_up())
        self.wrong(self.configuration(here), "source", "Azure Blob Storage")
        made, _ = self.init(here)
        self.assertIn("no driver for Azure", made)

    # ---- AWS ----

    def test_eks_with_roles_and_tls(self):
        names = [EksPachyderm.database_host, "new.cluster-abcdef.eu-central-1.rds.amazonaws.com"]
        postgres, ca = self.tls_server(*names)
        origin = self.origin("--latency-ms", "0", buckets=BUCKETS)
        here = self.pachyderm(chunks=40, workers=1, origin=origin, postgres=postgres, fixture=EksPachyderm)
        sts = AwsEndpoints(origin, life_s=3600, fails_every=0)
        self.addCleanup(sts.stop)
        sts.web_identity = "hidden.web.identity"
        token = os.path.join(self.folder, "token")
        with open(token, "w", encoding="ascii") as file:
            file.write(sts.web_identity)
        self.cloud = {**here.environment(), **NO_KEYS, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": ROLE,
                      "AWS_ENDPOINT_URL_STS": sts.url, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": ca}
        made, path = self.init(here)
        self.assertIn(f"# source: {here.storage_url}\n", made)
        self.assertIn("has no keys for it (a role)", made)
        self.assertIn(f"# database-host: {here.database_host}\n", made)
        # What is wrong with either login is said with what to do.
        self.wrong(path, "database", "root certificate file", "PGSSLROOTCERT", PGSSLROOTCERT=None)
        self.wrong(path, "database", "no encryption", "PGSSLMODE=require", PGSSLMODE="disable")
        gone = {"AWS_WEB_IDENTITY_TOKEN_FILE": None, "AWS_ROLE_ARN": None}
        profile = os.path.join(self.folder, "config")
        with open(profile, "w", encoding="ascii") as file:
            file.write("[default]\nregion = us-east-1\n")
        # (Without any login a loopback address is asked unsigned, and refuses.)
        self.wrong(path, "source", "found no keys of the bucket in secret pachyderm-storage-secret", "a role",
                   AWS_CONFIG_FILE=profile, **gone)

        doctor = self.succeed("doctor", "--config", path, **self.environment())
        backup = self.backup(here, "--json", configuration=path)
        self.assertEqual(backup.json()["snapshot"]["cluster"]["chunks_needed"], 40)
        self.assertTrue(here.is_scaled_up())

        there, namespace = postgres, self.new_namespace("again")
        here.postgres.drop("pachyderm", "dex")
        there.create("pachyderm", "dex")
        restored = self.restore(here, namespace, there, "--aws-role", "arn:aws:iam::210987654321:role/new",
                                configuration=path, database=("--database-host", names[1], "--pachd-database-host", names[1]))
        self.assert_restored(here, there, namespace, 40)
        self.assertEqual(self.annotations_of(namespace, "eks.amazonaws.com/role-arn"),
                         3 * ["arn:aws:iam::210987654321:role/new"])
        pachd = self.variables_of(namespace, "pachd")
        self.assertTrue(pachd["STORAGE_URL"].startswith("s3://restored?"), pachd)
        self.assertEqual((pachd["STORAGE_BACKEND"], pachd["POSTGRES_HOST"], pachd["POSTGRES_SSL"]),
                         ("AMAZON", names[1], "verify-full"))
        secret = self.secret_of(namespace)
        self.assertEqual((secret["AMAZON_BUCKET"], secret["AMAZON_ID"]), ("restored", ""))
        self.assertEqual(sts.violations, [])
        self.assertGreater(len(sts.issued), 0)
        self.assert_nothing_shown([sts.web_identity, *sts.secrets()], doctor, backup, restored)

    # ---- on premises ----

    def test_minio(self):
        if not has_minio() and os.environ.get("CI") != "true":
            self.skipTest("there is no MinIO")
        store = MinioStore()
        self.addCleanup(store.stop)
        for name in BUCKETS:
            store.make_bucket(name)
        here = self.pachyderm(chunks=40, shape="2.8", workers=1, origin=store, fixture=MinioPachyderm)
        self.cloud = {**NO_KEYS, "PBCOPY_REPOSITORY_ACCESS_KEY_ID": store.access_key,
                      "PBCOPY_REPOSITORY_SECRET_ACCESS_KEY": store.secret_key}
        made, path = self.init(here)
        self.assertIn(f"# source: s3://pachyderm?endpoint={store.address.replace(':', '%3A')}&disableSSL=true\n", made)
        self.assertIn("key MINIO_ID", made)
        doctor = self.succeed("doctor", "--config", path, **self.environment())
        backup = self.backup(here, configuration=path)
        there, namespace = self.there()
        keys = os.path.join(self.folder, "bucket-credentials.yaml")
        with open(keys, "w", encoding="ascii") as file:
            file.write("MINIO_ID: new-id\nMINIO_SECRET: new-secret\n")
        restored = self.restore(here, namespace, there, "--bucket-credentials", keys, configuration=path,
                                PBCOPY_DESTINATION_ACCESS_KEY_ID=store.access_key,
                                PBCOPY_DESTINATION_SECRET_ACCESS_KEY=store.secret_key)
        self.assert_restored(here, there, namespace, 40)
        secret = self.secret_of(namespace)
        self.assertEqual((secret["MINIO_BUCKET"], secret["MINIO_ENDPOINT"], secret["MINIO_SECURE"]),
                         ("restored", store.address, "0"))
        self.assertEqual((secret["MINIO_ID"], secret["MINIO_SECRET"]), ("new-id", "new-secret"))
        self.assertEqual(self.variables_of(namespace, "pachd")["STORAGE_BACKEND"], "MINIO")
        self.assert_nothing_shown([store.secret_key, "new-secret"], doctor, backup, restored)


if __name__ == "__main__":
    scenario.main()
