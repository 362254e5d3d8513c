#!/usr/bin/env python3
"""pachd, as far as it matters to a backup: a process that, by the pods that the API server shows,

- while a pod of pachd is there, scales pachw and the workers back to their counts when somebody has scaled them;
- while a pod of pachd, pachw or a worker is there, writes chunks (the object first, then its row) and collects others
  (the row first, then its object), several times a second; and rewrites other tables.

So a suspend in the wrong order does not last, and a backup that is not of one moment is found out. Settings come as a
line of JSON on standard input; it ends with its parent, or by SIGTERM.
"""

import hashlib
import http.client
import json
import os
import random
import ssl
import sys
import threading
import time
import urllib.error

import boto3
import botocore.config
import psycopg2

from api_connection import ApiConnection

SETTINGS = json.loads(sys.stdin.readline())
NAMESPACE = SETTINGS["namespace"]
RATE_S = SETTINGS.get("every_s", 0.05)
LOOK_S = 0.15
AWAY = (OSError, http.client.HTTPException, ValueError)  # the API server does not answer, or breaks off
KEPT = SETTINGS.get("kept", 200)  # of its own chunks; beyond it collects

connection = ApiConnection(SETTINGS["port"], ssl.create_default_context(cafile=SETTINGS["ca"]), SETTINGS["token"])


def api(method, path, body=None):
    return connection.ask(method, path, body, "application/merge-patch+json")


def is_pachd_there():
    return any(pod["metadata"].get("labels", {}).get("app") == "pachd" and pod["status"].get("phase") == "Running"
               for pod in api("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")["items"])


class Pods:
    """Who is there; and, in a thread of its own, what pachd does to the others while it is."""

    def __init__(self):
        self.pachd = self.writers = False

    def govern(self):
        while True:
            try:
                if self.pachd:
                    self.rescale()
            except AWAY:
                pass  # a pod that writes does not mind
            time.sleep(LOOK_S)

    def look(self):
        pachd = writers = False
        for pod in api("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]:
            labels = pod["metadata"].get("labels", {})
            if pod["status"].get("phase") != "Running":
                continue
            pachd |= labels.get("app") == "pachd"
            writers |= labels.get("app") in ("pachd", "pachw") or labels.get("component") == "worker"
        self.pachd, self.writers = pachd, writers

    def are_writing(self):
        """A pod that is gone has stopped before that: it must not be seen to write a moment longer."""
        try:
            self.look()
        except AWAY:
            pass  # what was seen last still holds
        return self.writers

    @staticmethod
    def rescale():
        for name, count in SETTINGS["counts"].items():
            kind, workload = name.split("/")
            if workload == "pachd":
                continue
            group = "/apis/apps/v1" if kind == "deployments" else "/api/v1"
            path = f"{group}/namespaces/{NAMESPACE}/{kind}/{workload}"
            try:
                if api("GET", path)["spec"].get("replicas", 1) == count:
                    continue
                # Asked after that: who waits for pachd's pods to go before the workers are scaled is never undone,
                # however late this comes, and who does not wait is.
                if is_pachd_there():
                    api("PATCH", path, {"spec": {"replicas": count}})
            except urllib.error.HTTPError:
                pass


class Writer:
    """Looks again in the middle of each step: a busy machine may hold it up, and a pod that was ended there leaves an
    object without a row behind, as a real one does."""

    def __init__(self, pods):
        self.pods = pods
        self.s3 = boto3.client("s3", endpoint_url=SETTINGS["endpoint"], region_name="us-east-1",
                               aws_access_key_id=SETTINGS["access_key"],
                               aws_secret_access_key=SETTINGS["secret_key"],
                               config=botocore.config.Config(s3={"addressing_style": "path"}))
        self.database = psycopg2.connect(**SETTINGS["postgres"])
        self.database.autocommit = True
        self.cursor = self.database.cursor()
        self.chunks = []
        self.written = 0

    def write(self):
        body = os.urandom(200)
        digest = hashlib.blake2b(body, digest_size=32)
        self.cursor.execute("SELECT nextval('storage.chunk_objects_gen_seq')")
        gen = self.cursor.fetchone()[0]
        key = f"chunk/{digest.hexdigest()}.{gen:016x}"
        self.s3.put_object(Bucket=SETTINGS["bucket"], Key=key, Body=body)
        if not self.pods.are_writing():
            return
        self.cursor.execute("INSERT INTO storage.chunk_objects (chunk_id, gen, uploaded, size) VALUES (%s, %s, true, %s)",
                            (psycopg2.Binary(digest.digest()), gen, len(body)))
        self.chunks.append((digest.digest(), gen, key))
        self.written += 1
        self.cursor.execute("INSERT INTO pfs.commits (commit_id, description) VALUES (%s, repeat('x', 100))", (key,))

    def collect(self):
        digest, gen, key = self.chunks.pop(random.randrange(len(self.chunks) - 20))
        self.cursor.execute("UPDATE storage.chunk_objects SET tombstone = true WHERE chunk_id = %s AND gen = %s",
                            (psycopg2.Binary(digest), gen))
        if not self.pods.are_writing():
            return
        self.s3.delete_object(Bucket=SETTINGS["bucket"], Key=key)
        self.cursor.execute("DELETE FROM storage.chunk_objects WHERE chunk_id = %s AND gen = %s",
                            (psycopg2.Binary(digest), gen))

    def step(self):
        self.write()
        if len(self.chunks) > KEPT:
            self.collect()
            self.collect()


def main():
    pods = Pods()
    writer = Writer(pods)
    threading.Thread(target=pods.govern, daemon=True).start()
    told = False
    while True:
        if pods.are_writing():
            writer.step()
            if not told and writer.written >= 5:
                print("writing", flush=True)
                told = True
        time.sleep(RATE_S)


main()
