"""Many objects of known bytes: planned, uploaded and read back by boto3, by several processes with several
threads each. The bytes of an object follow from its key and its generation, so that each process makes them
for itself and a reader knows what must come."""

import concurrent.futures
import hashlib
import http.client
import multiprocessing
import random
import threading
import typing
import urllib.parse

import s3_store

MIB = 1 << 20
PART_BYTES = 8 * MIB
PROCESSES = 3
THREADS = 6 # of each process
CHUNK = 200 # keys that a process gets at a time

# What some layer might take for something else. The keys over 997 bytes are too long behind data/<id>/.
ODD_NAMES = [
    "with space", " leading space", "trailing space ", "plus+plus", "+", "per%cent", "per%20cent", "%", "%2F",
    "%zz", "'single'", '"double"', "<&>", "&amp;", "]]>", "a=b&c=d?e#f", "?uploads", "?", "#", "semi;colon",
    "back\\slash", "{curly}[square]", "star*", "tilde~", "pipe|", "caret^", "`", "comma,colon:@$!()",
    "\u00e4\u00f6\u00fc", "e\u0301 decomposed", "\u00e9 composed", "\u65e5\u672c\u8a9e", "\U0001f40b whale",
    "\U0010fffd", "\ufffd", "\u2028", "\u202e right to left", "\ufeff mark", "\ud7ff", "\ue000",
    "/leading", "//two leading", "trailing/", "double//slash", "/", "//", ".", "..", "./here", "../above",
    "a/../b", "a/./b", "a/..", "_underscore", "__two", "_multipart_x.2~y.1", "a", "a/b", "a-b", "a/b/c",
    "control-\x01-\x1f-\x7f", "tab\tbed", "new\nline", "carriage\rreturn", "\u0085",
    "pbcopy.json", "snapshots/20261123T052049Z-3f9a/snapshot.json", "data/20261123T052049Z-3f9a/x",
]
LONG_NAMES = ["x" * 1024, "y" * 998, "z" * 997, "\U0001f40b" * 256, "deep/" * 204 + "end!"]


class Planned(typing.NamedTuple):
    """An object as it shall be."""
    key: str
    size: int
    generation: int = 0 # another one has other bytes
    parts: bool = False # uploaded in parts of PART_BYTES
    attributes: typing.Any = () # pairs: content type and metadata of put_object

    def bytes(self):
        return hashlib.shake_128(f"{self.generation}:{self.key}".encode()).digest(self.size)


class Stored(typing.NamedTuple):
    """An object as it was found."""
    size: int
    etag: str
    sha256: str


def plan(total, subset):
    """`total` objects, of which `subset` have keys that begin with "subset/": mostly of 0 to 8 KiB, some of
    up to 2 MiB, six in parts of 20 and 100 MB. The same ones each time."""
    dice = random.Random(20261123)
    planned = []

    def add(key, size, **more):
        planned.append(Planned(key, size, **more))

    for name in ODD_NAMES + LONG_NAMES:
        add(name, dice.randrange(0, 300))
    for name in ODD_NAMES:
        add("subset/odd/" + name, dice.randrange(0, 300))
    for number, megabytes in enumerate([20, 20, 20, 100, 100]):
        add(f"large/{number}", megabytes * 1000 * 1000 + number, parts=True,
            attributes=(("ContentType", "video/mp4"), ("Metadata", {"number": str(number)})))
    add("large/exactly-two-parts", 2 * PART_BYTES, parts=True)
    add("large/one-part", MIB, parts=True)
    add("large/whole", 20 * 1000 * 1000)
    add("subset/large", 20 * 1000 * 1000, parts=True)
    for number in range(85):
        add(f"medium/{number:03}", dice.randrange(64 * 1024, 2 * MIB))
    for number in range(10):
        add(f"subset/medium/{number:03}", dice.randrange(64 * 1024, 2 * MIB))
    for number in range(20):
        add(f"typed/{number:03}", dice.randrange(0, 1000),
            attributes=(("ContentType", f"text/x-{number}; charset=utf-8"), ("CacheControl", "no-cache"),
                        ("Metadata", {"owner": f"somebody {number}"})))
    for number in range(200):
        add(f"empty/{number:03}", 0)
    in_subset = sum(each.key.startswith("subset/") for each in planned)
    for number in range(subset - in_subset):
        add(f"subset/{number:05}", dice.randrange(0, 8193))
    for number in range(total - len(planned)):
        add(f"tree/{number % 97:02x}/{number % 7}/{number:06}", dice.randrange(0, 8193))
    assert len({each.key for each in planned}) == total
    return planned


# ---- in the processes ----

_client = None
_of_thread = threading.local()


def _start(endpoint, credentials):
    global _client
    _client = s3_store.client_of(endpoint, credentials)


def _put_one(bucket, planned):
    body, attributes = planned.bytes(), dict(planned.attributes)
    if not planned.parts:
        _client.put_object(Bucket=bucket, Key=planned.key, Body=body, **attributes)
        return planned.key, hashlib.sha256(body).hexdigest()
    names = {"Bucket": bucket, "Key": planned.key}
    names["UploadId"] = _client.create_multipart_upload(**names, **attributes)["UploadId"]
    parts = []
    for offset in range(0, planned.size, PART_BYTES):
        answer = _client.upload_part(**names, PartNumber=len(parts) + 1, Body=body[offset:offset + PART_BYTES])
        parts.append({"PartNumber": len(parts) + 1, "ETag": answer["ETag"]})
    _client.complete_multipart_upload(**names, MultipartUpload={"Parts": parts})
    return planned.key, hashlib.sha256(body).hexdigest()


def _read_one(bucket, key):
    """boto3 signs and http.client reads: boto3's own reading of a small object costs several times what the
    gateway's answer does."""
    url = _client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
    target = url[url.index("/", len("http://")):]
    for attempt in (1, 2):
        connection = getattr(_of_thread, "connection", None)
        if connection is None:
            host = urllib.parse.urlsplit(url).netloc
            connection = _of_thread.connection = http.client.HTTPConnection(host, timeout=120)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            break
        except (http.client.HTTPException, OSError): # kept alive for too long
            connection.close()
            _of_thread.connection = None
            if attempt == 2:
                raise
    if answer.status != http.client.OK:
        raise AssertionError(f"GET {bucket} {key!r}: {answer.status} {answer.read(1000)}")
    digest, size = hashlib.sha256(), 0
    while chunk := answer.read(MIB):
        digest.update(chunk)
        size += len(chunk)
    return key, Stored(size, answer.getheader("ETag").strip('"'), digest.hexdigest())


def _chunk(work, bucket, chunk):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(lambda each: work(bucket, each), chunk))


# ---- for the test ----

class Workers:
    """The processes, from construction to stop()."""

    def __init__(self, store):
        self._store = store
        self._pool = concurrent.futures.ProcessPoolExecutor(
            PROCESSES, mp_context=multiprocessing.get_context("spawn"), initializer=_start,
            initargs=(store.endpoint, store.credentials))

    def stop(self):
        self._pool.shutdown(cancel_futures=True)

    def _all(self, work, bucket, things):
        count = (len(things) + CHUNK - 1) // CHUNK
        chunks = [things[number::count] for number in range(count)] # large and small ones in each
        waiting = [self._pool.submit(_chunk, work, bucket, chunk) for chunk in chunks]
        return dict(pair for each in waiting for pair in each.result())

    def put(self, bucket, planned):
        """Uploads them, the large ones first; {key: SHA-256}."""
        return self._all(_put_one, bucket, sorted(planned, key=lambda each: -each.size))

    def read(self, bucket, prefix="", keys=None):
        """Reads every object to its last byte: {key: Stored}. The keys are those that are listed, if none
        are given; what is listed of them must agree with what is read."""
        listed = None if keys is not None else self._store.list(bucket, prefix)
        found = self._all(_read_one, bucket, list(listed if keys is None else keys))
        for key, (size, etag) in (listed or {}).items():
            if (size, etag) != found[key][:2]:
                raise AssertionError(f"{bucket}: {key!r} is listed as {size} bytes with ETag {etag}: {found[key]}")
        return found
