"""Places of each kind that objects can be in, read and written by clients that know nothing of pbcopy: boto3, plain
HTTP, the file system. Attributes of objects are named as boto3's put_object names them (ContentType, Metadata...).

A place has `url` for pbcopy and `kind`. `has_etags` says whether other bytes of the same size show in its listing,
`keeps_attributes` whether it has any beside bytes, `notices_attributes` whether its listing shows a change in them.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import re
import urllib.parse

import scenario

PART_BYTES = 8 << 20
THREADS = 4
# boto3's name, and the JSON API's.
MEMBERS = (("ContentType", "contentType"), ("CacheControl", "cacheControl"), ("ContentEncoding", "contentEncoding"),
           ("ContentDisposition", "contentDisposition"), ("ContentLanguage", "contentLanguage"),
           ("Metadata", "metadata"))


class Place:
    has_etags = keeps_attributes = notices_attributes = True
    gave_way = 0  # files that got another name meanwhile, which is a change of theirs

    def holds(self, key):
        """Whether it can have an object of this key."""
        return True

    def fill(self, planned):
        """Stores objects that store_objects planned."""
        with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self.put_planned, planned))

    def put_planned(self, each):
        attributes = dict(each.attributes) if self.keeps_attributes else {}
        (self.put_parts if each.parts else self.put)(each.key, each.bytes(), **attributes)

    def digests(self, prefix=""):
        """{key: SHA-256 of the bytes}, and the listing says the same sizes."""
        listed = self.list(prefix)
        with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
            bodies = threads.map(lambda key: self._summary(key), listed)
            found = dict(zip(listed, bodies))
        assert {key: size for key, (size, _) in found.items()} == listed, self.url
        return {key: digest for key, (_, digest) in found.items()}

    def _summary(self, key):
        body = self.get(key)
        return len(body), hashlib.sha256(body).hexdigest()


class S3Place(Place):
    """A bucket of an S3 server."""

    kind = "s3"

    def __init__(self, origin, name):
        origin.client.create_bucket(Bucket=name)
        self._bucket = scenario.Bucket(origin, name)
        self._client, self.name, self.url = origin.client, name, origin.url(name)

    def put(self, key, body, **attributes):
        self._bucket.put(key, body, **attributes)

    def put_parts(self, key, body, **attributes):
        self._bucket.put_parts(key, body, PART_BYTES, **attributes)

    def get(self, key):
        return self._bucket.get(key)

    def delete(self, key):
        self._bucket.delete(key)

    def list(self, prefix=""):
        return self._bucket.list(prefix)

    def attributes(self, key):
        head = self._bucket.head(key)
        return {name: head[name] for name, _ in MEMBERS if head.get(name)}

    def change_attributes(self, key, **attributes):
        self._client.copy_object(Bucket=self.name, Key=key, CopySource={"Bucket": self.name, "Key": key},
                                 MetadataDirective="REPLACE", **attributes)


class GcsPlace(Place):
    """A bucket of a server that speaks Google's JSON API, through a gcs_store.GcsStore."""

    kind = "gcs"

    def __init__(self, store, name, notices_attributes=True):
        self._store, self.name, self.notices_attributes = store, name, notices_attributes
        self._ask(200, store.make_bucket(name))
        self.url = f"gs://{name}?" + urllib.parse.urlencode({"endpoint": store.endpoint}, safe=":/")

    @staticmethod
    def _ask(status, answer):
        assert answer.status == status, answer
        return answer

    def holds(self, key):
        """https://cloud.google.com/storage/docs/objects#naming"""
        return (not re.search("[\r\n]", key) and key not in (".", "..")
                and not key.startswith(".well-known/acme-challenge/") and len(key.encode()) <= 1024)

    @staticmethod
    def _resource(attributes):
        return {member: attributes[name] for name, member in MEMBERS if name in attributes}

    def put(self, key, body, **attributes):
        kind = attributes.get("ContentType", "application/octet-stream")
        self._ask(200, self._store.put_multipart(self.name, {"name": key, **self._resource(attributes)}, body, kind))

    def put_parts(self, key, body, **attributes):
        session = self._ask(200, self._store.start_upload(
            self.name, {"name": key, **self._resource(attributes)})).headers["location"]
        for at in range(0, len(body), PART_BYTES):
            end = min(at + PART_BYTES, len(body))
            self._ask(200 if end == len(body) else 308, self._store.put_chunk(
                session, body[at:end], f"bytes {at}-{end - 1}/{len(body)}"))

    def compose(self, key, parts, **attributes):
        """An object that is made of others: there is no MD5 of it."""
        self._ask(200, self._store.compose(self.name, key, [{"name": part} for part in parts],
                                           self._resource(attributes)))

    def get(self, key):
        return self._ask(200, self._store.download(self.name, key, {"Accept-Encoding": "gzip"})).body

    def delete(self, key):
        answer = self._store.delete(self.name, key)
        assert answer.status in (200, 204), answer

    def list(self, prefix=""):
        found, token = {}, None
        while True:
            page = self._ask(200, self._store.list(self.name, prefix=prefix, pageToken=token)).json()
            found.update((item["name"], int(item["size"])) for item in page.get("items", []))
            token = page.get("nextPageToken")
            if not token:
                return found

    def attributes(self, key):
        resource = self._ask(200, self._store.get(self.name, key)).json()
        return {name: resource[member] for name, member in MEMBERS if resource.get(member)}

    def change_attributes(self, key, **attributes):
        self._ask(200, self._store.patch(self.name, key, self._resource(attributes)))


class FolderPlace(Place):
    """A directory. Names of files are as copier/store/file/file_name.h documents them."""

    kind = "file"
    has_etags = keeps_attributes = notices_attributes = False

    def __init__(self, path):
        os.makedirs(path)
        self.path, self.url = path, "file://" + path

    # ---- names ----

    @staticmethod
    def _name(component):
        """The names that a component of a key becomes, joined by '/'."""
        raw = component.encode()
        first = {".": 1, "..": 2}.get(component, int(component.startswith(".pbcopy-")))
        signs = [f"%{byte:02X}".encode() if at < first or byte < 0x20 or byte in b"%\x7f" else bytes([byte])
                 for at, byte in enumerate(raw)]
        if not signs:
            return b"%_"
        if sum(map(len, signs)) <= 255:
            return b"".join(signs)
        pieces = [b""]
        for sign in signs:
            if len(pieces[-1]) + len(sign) > 250:
                pieces.append(b"")
            pieces[-1] += sign
        return b"%more/".join(pieces)

    def _path(self, key):
        return os.path.join(self.path.encode(), b"/".join(map(self._name, key.split("/"))))

    @staticmethod
    def _key(path):
        """The inverse, for the relative path of a file."""
        text = path.replace(b"%more/", b"").removesuffix(b"%leaf").replace(b"%_", b"")
        return urllib.parse.unquote_to_bytes(text).decode()

    # ---- objects ----

    def fill(self, planned):
        for each in planned: # a file gives way to a directory of its name: one after the other
            self.put_planned(each)

    def put(self, key, body):
        path = self._path(key)
        folder = os.path.dirname(path)
        while len(folder) > len(self.path): # an object `a` gives way where `a/b` is to be
            if os.path.isfile(folder):
                os.rename(folder, folder + b"%leaf")
                self.gave_way += 1
            folder = os.path.dirname(folder)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        path += b"%leaf" if os.path.isdir(path) or os.path.exists(path + b"%leaf") else b""
        new = os.path.join(self.path.encode(), b".pbcopy-of-the-test")
        with open(new, "wb") as file:
            file.write(body)
        os.replace(new, path)

    put_parts = put

    def _file(self, key):
        path = self._path(key)
        return path if os.path.isfile(path) else path + b"%leaf"

    def get(self, key):
        with open(self._file(key), "rb") as file:
            return file.read()

    def delete(self, key):
        os.unlink(self._file(key))

    def list(self, prefix=""):
        found = {}
        root = self.path.encode()
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(b".pbcopy-")]
            for name in names:
                path = os.path.join(folder, name)
                key = self._key(os.path.relpath(path, root))
                if key.startswith(prefix) and not name.startswith(b".pbcopy-"):
                    with contextlib.suppress(FileNotFoundError):
                        found[key] = os.path.getsize(path)
        return found
