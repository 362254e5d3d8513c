"""Pachyderms as they stand in clouds: on GKE (Google Cloud Storage, Cloud SQL behind its proxy, workload identity), on EKS
(S3, RDS with TLS, roles of service accounts) and beside a MinIO; with stores that ask for the logins that these have."""

import json
import ssl
import urllib.request

import boto3
import botocore.config
import botocore.handlers

import go_servers
import scenario
from google_endpoints import GoogleEndpoints
from minio_server import MinioServer
from pachyderm_fixture import Pachyderm

ACCOUNTS = ("pachyderm", "pachyderm-worker", "k8s-cloudsql-auth-proxy")


# ---- stores ----

class TlsOrigin(scenario.Origin):
    """An origin by TLS, as a store is that is no emulator: there pbcopy shows its login. `certificates` are those of
    Scenario.certificates()."""

    def __init__(self, *arguments, certificates, **more):
        self.ca, certificate, key = certificates
        super().__init__("--tls-cert", certificate, "--tls-key", key, *arguments, scheme="https", **more)

    @property
    def client(self):
        with self._lock:
            if self._client is None:
                self._client = boto3.client(
                    "s3", endpoint_url=self.endpoint, region_name=scenario.REGION, aws_access_key_id=self.access_key,
                    aws_secret_access_key=self.secret_key, verify=self.ca,
                    config=botocore.config.Config(s3={"addressing_style": "path"}, max_pool_connections=4))
                self._client.meta.events.unregister("before-call.s3", botocore.handlers.add_expect_header)
            return self._client

    def _put(self, target, body):
        request = urllib.request.Request(self.endpoint + target, data=body, method="PUT")
        with urllib.request.urlopen(request, timeout=60, context=ssl.create_default_context(cafile=self.ca)):
            pass


class GoogleLogins(GoogleEndpoints):
    """Whose tokens an origin takes, and no others."""

    def __init__(self, origin):
        self.origin = origin
        super().__init__()
        self.tell()

    def tell(self):
        self.origin._put("/?origin-gcs-tokens", "".join(f"{token}\n" for token in self.storage_tokens[-200:]).encode())

    def issue(self, scope, more=None):
        answer = super().issue(scope, more)
        self.tell()
        return answer


class MinioStore(MinioServer):
    """MinIO, with what a fixture asks of an origin."""

    def __init__(self):
        super().__init__()
        self.access_key = self.credentials["AWS_ACCESS_KEY_ID"]
        self.secret_key = self.credentials["AWS_SECRET_ACCESS_KEY"]

    def bucket(self, name):
        return scenario.Bucket(self, name)


def has_minio():
    return bool(go_servers.minio()[0])


# ---- clusters ----

class GkePachyderm(Pachyderm):
    """`credential` is the JSON of GOOGLE_CRED; without one pachd goes by workload identity."""

    credential = None

    def url(self, bucket):
        return f"gs://{bucket}"

    def environment(self):
        """Of pbcopy: where Google is, and, as if its port were forwarded, where the proxy's service leads."""
        return {"STORAGE_EMULATOR_HOST": self.origin.endpoint, "PGHOSTADDR": "127.0.0.1"}

    def storage_environment(self):
        return {"STORAGE_BACKEND": "GOOGLE", **({"STORAGE_URL": self.storage_url} if self.shape == "2.11" else {})}

    def storage_secret(self):
        return {"GOOGLE_BUCKET": self.bucket_name if self.shape == "2.8" else "stale-name",
                "GOOGLE_CRED": json.dumps(self.credential, indent=2) if self.credential else ""}

    def database_environment(self):
        return {"POSTGRES_HOST": "cloudsql-auth-proxy", "POSTGRES_PORT": str(self.postgres.port)}

    def annotations(self, account):
        return {"iam.gke.io/gcp-service-account": f"{account}@old.iam.gserviceaccount.com"}

    def more_objects(self):
        labels = {"app": "cloudsql-auth-proxy", "suite": "pachyderm"}
        return [{"apiVersion": "v1", "kind": "Service",
                 "metadata": {"name": "cloudsql-auth-proxy", "namespace": self.namespace, "labels": labels},
                 "spec": {"selector": labels, "ports": [{"port": self.postgres.port}]}}]


class EksPachyderm(Pachyderm):
    """No keys anywhere: pachd has a role. Its database is one of RDS, which takes TLS alone."""

    database_host = "prod.cluster-abcdef.eu-central-1.rds.amazonaws.com"

    def environment(self):
        return {"PGHOSTADDR": "127.0.0.1"}

    def storage_environment(self):
        return {"STORAGE_BACKEND": "AMAZON", "STORAGE_URL": self.storage_url}

    def storage_secret(self):
        return {"AMAZON_BUCKET": "stale-name", "AMAZON_REGION": scenario.REGION, "AMAZON_ID": "", "AMAZON_SECRET": ""}

    def database_environment(self):
        return {"POSTGRES_HOST": self.database_host, "POSTGRES_PORT": str(self.postgres.port),
                "POSTGRES_SSL": "verify-full"}

    def annotations(self, account):
        return {"eks.amazonaws.com/role-arn": f"arn:aws:iam::123456789012:role/old-{account}"}


class MinioPachyderm(Pachyderm):
    """Up to 2.10, where MinIO is a backend of its own."""

    def storage_environment(self):
        return {"STORAGE_BACKEND": "MINIO"}

    def storage_secret(self):
        return {"MINIO_BUCKET": self.bucket_name, "MINIO_ENDPOINT": self.origin.address, "MINIO_SECURE": "0",
                "MINIO_ID": self.origin.access_key, "MINIO_SECRET": self.origin.secret_key,
                "AMAZON_BUCKET": "", "GOOGLE_BUCKET": "", "GOOGLE_CRED": ""}

    def annotations(self, _account):
        return {}
