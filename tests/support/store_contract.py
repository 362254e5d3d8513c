"""What holds for each pair of source and repository, whatever stores they are: backup, incremental backup, verify,
restore into a place of each kind, damage, copy. What went up and what came back is read by clients of each store's own
(places.py).

A test case of class Contract makes the places and calls keep_contract().
"""

import gzip
import hashlib

import scenario
import store_objects
from store_objects import MIB, Planned

TYPED = (("ContentType", "text/x-typed; charset=utf-8"), ("CacheControl", "no-cache, max-age=5"),
         ("Metadata", {"owner": "some body", "with-dash": "=;,"}))
UNPACKED = b"line\n" * 1000
ANOTHER_TYPE = {"ContentType": "image/x-changed", "CacheControl": "private",
                "Metadata": {"owner": "another", "with-dash": "!"}}


class Packed(Planned):
    """An object that is said to be gzip: its bytes are those that are stored, and no others."""

    def bytes(self):
        return gzip.compress(UNPACKED, mtime=0)


def plan():
    """Objects of all kinds, the same ones each time. The large ones are of several parts wherever they go."""
    planned = [Planned(name, number) for number, name in enumerate(store_objects.ODD_NAMES)]
    planned += [Planned(name, 10) for name in store_objects.LONG_NAMES]
    planned += [Planned(f"tree/{number % 7}/{number:03}", number * 37) for number in range(60)]
    planned += [Planned(f"sizes/{size}", size) for size in (0, 1, 65536, MIB - 1, 8 * MIB)]
    planned += [Planned("large/whole", 25 * MIB + 17),
                Planned("large/parts", 17 * MIB + 5, parts=True, attributes=TYPED),
                Planned("large/exactly-two-parts", 2 * store_objects.PART_BYTES, parts=True)]
    planned += [Planned(f"typed/{number}", number, attributes=TYPED) for number in range(3)]
    planned += [Packed("typed/packed", 0, attributes=(("ContentType", "text/plain"), ("ContentEncoding", "gzip")))]
    return planned


class Contract(scenario.Scenario):
    def keep_contract(self, source, repository, destinations, copied):
        """All places are empty; `destinations` are restored into, `copied` is copied into from the source."""
        self.source, self.repository = source, repository
        self.objects = {each.key: each for each in plan() if source.holds(each.key)}
        source.fill(self.objects.values())
        self.more_objects()
        self.expected = {key: hashlib.sha256(each.bytes()).hexdigest() for key, each in self.objects.items()}
        self.assert_same(source.digests(), self.expected, source)
        self.step_dry_run()
        first = self.step_backups()
        older = dict(self.expected)
        self.step_changes()
        for destination in destinations:
            with self.subTest(restored=destination.url):
                self.step_restore(destination)
        self.step_older(destinations[0], first, older)
        with self.subTest(copied=copied.url):
            self.step_copy(copied)
        own = next((place for place in destinations if place.kind == repository.kind), destinations[0])
        self.step_damage({own, destinations[0]})

    def more_objects(self):
        """Objects that this kind of source alone has. One that was composed has no MD5."""
        if hasattr(self.source, "compose"):
            self.source.compose("composed", ("sizes/1", "sizes/65536", "sizes/8388608"), ContentType="text/composed")
            parts = [self.objects[f"sizes/{size}"].bytes() for size in (1, 65536, 8388608)]
            self.objects["composed"] = Composed.of(b"".join(parts))

    # ---- what is asserted often ----

    def assert_same(self, found, expected, place):
        missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        other = sorted(key for key in expected.keys() & found.keys() if expected[key] != found[key])
        self.assertFalse(missing or extra or other, f"{place.url}: missing {missing[:9]}, too many {extra[:9]}, "
                         f"differ {[(key, found[key], expected[key]) for key in other[:5]]}")

    def told(self, *arguments):
        return self.succeed(*arguments, "--json").json()

    def told_of(self, exit_code, findings, *arguments):
        """A run that ends so, and names these: {key: finding}."""
        run = self.pbcopy(*arguments, "--json")
        found = {each["key"]: each["finding"] for each in run.json()["findings"]}
        self.assertEqual((run.exit_code, found), (exit_code, findings), run.stderr[-3000:])
        return run.json()

    def restored(self, destination, *arguments, findings=None, what="restore", start=None):
        """restore (or copy) into a place: what it does not hold is named, and the run fails for it."""
        unheld = {key: "failed" for key in self.expected if not destination.holds(key)}
        findings = {**unheld, **(findings or {})}
        return self.told_of(scenario.FAILED if findings else scenario.OK, findings, what,
                            start or self.repository.url, destination.url, *arguments)

    def held(self, destination):
        return {key: digest for key, digest in self.expected.items() if destination.holds(key)}

    def assert_attributes(self, destination, *between):
        """Where all ends keep them."""
        if not all(place.keeps_attributes for place in (self.source, destination, *between)):
            return
        for key, each in self.objects.items():
            for name, value in each.attributes:
                found = destination.attributes(key).get(name)
                self.assertEqual(found, value, f"{name} of {key!r} in {destination.url}")

    def assert_intact(self, *arguments):
        told = self.told("verify", self.repository.url, *arguments)
        self.assertEqual((told["objects"], told["findings_total"]), (len(self.expected), 0))
        return told

    # ---- the steps ----

    def step_dry_run(self):
        told = self.told("backup", self.source.url, self.repository.url, "--dry-run")
        self.assertEqual(told["snapshot"]["objects"], len(self.expected))
        self.assertEqual(self.repository.list(), {})

    def step_backups(self):
        told = self.told("backup", self.source.url, self.repository.url)
        snapshot = told["snapshot"]
        self.assertEqual((snapshot["objects"], snapshot["copied_objects"]), (len(self.expected), len(self.expected)))
        self.assertEqual(snapshot["bytes"], sum(len(each.bytes()) for each in self.objects.values()))
        self.assertEqual(told["findings"], [])
        self.assert_proven(snapshot["assurance"])
        self.assert_mirror(snapshot["id"])
        again = self.told("backup", self.source.url, self.repository.url)["snapshot"]
        self.assertEqual((again["objects"], again["copied_objects"]), (len(self.expected), 0))
        self.assert_intact()
        read = self.assert_intact("--read")
        self.assertEqual(read["bytes_read"], snapshot["bytes"])
        return snapshot["id"]

    def assert_proven(self, assurance):
        self.assertEqual(assurance["size"], 0, assurance)

    def assert_mirror(self, identity):
        """docs/formats.md: a snapshot's objects lie under their keys, but for those that a path could change."""
        prefix = f"data/{identity}/"
        mirrored = {key: digest for key, digest in self.expected.items() if not scenario.lies_in_long(identity, key)}
        found = {key[len(prefix):]: digest for key, digest in self.repository.digests(prefix).items()}
        self.assert_same(found, mirrored, self.repository)
        self.assertEqual(len(self.repository.list(f"long/{identity}/")), len(self.expected) - len(mirrored))

    def step_changes(self):
        """Changed, new and gone objects, and one of which nothing but metadata is another."""
        changed = [self.objects[key]._replace(generation=1) for key in ("tree/1/008", "large/whole", "a")]
        changed += [self.objects["per%cent"]._replace(generation=1, size=77), Planned("new/object", 123),
                    Planned("a/b/c/d", 5)]
        for key in ("tree/2/009", "a/b", "double//slash"):
            self.source.delete(key)
            del self.objects[key], self.expected[key]
        copied = len(changed) - self.source.gave_way
        self.source.fill(changed)
        copied += self.source.gave_way
        self.objects.update((each.key, each) for each in changed)
        self.expected.update((each.key, hashlib.sha256(each.bytes()).hexdigest()) for each in changed)
        if self.source.notices_attributes:
            for key in ("typed/1", "large/exactly-two-parts"):
                self.source.change_attributes(key, **ANOTHER_TYPE)
                self.objects[key] = self.objects[key]._replace(attributes=tuple(ANOTHER_TYPE.items()))
            copied += 2
        preview = self.told("backup", self.source.url, self.repository.url, "--dry-run")["snapshot"]
        told = self.told("backup", self.source.url, self.repository.url)
        snapshot = told["snapshot"]
        self.assertEqual((snapshot["objects"], snapshot["copied_objects"], told["gone_objects"]),
                         (len(self.expected), copied, 3))
        self.assertEqual(preview["copied_objects"], copied)
        self.assert_intact("--read")

    def step_restore(self, destination):
        held = self.held(destination)
        told = self.told("restore", self.repository.url, destination.url, "--dry-run")
        self.assertEqual(told["written_objects"], len(self.expected))
        self.assertEqual(destination.list(), {})
        told = self.restored(destination)
        self.assertEqual((told["written_objects"], told["failed_objects"]),
                         (len(held), len(self.expected) - len(held)))
        self.assert_same(destination.digests(), held, destination)
        self.assert_attributes(destination, self.repository)
        # over what is there
        told = self.restored(destination)
        self.assertEqual((told["written_objects"], told["present_objects"]), (0, len(held)))
        destination.put("tree/0/007", b"other bytes")
        destination.put("large/parts", b"")
        destination.put("not of the snapshot", b"stays")
        destination.delete("a")
        told = self.restored(destination, findings={"tree/0/007": "differs", "large/parts": "differs"})
        self.assertEqual((told["written_objects"], told["differing_objects"], told["extra_objects"]), (1, 2, 1))
        # and all that nothing but its size shows to be the same, as in a directory
        told = self.restored(destination, "--overwrite")
        self.assertGreaterEqual(told["written_objects"], 2)
        self.assertEqual(told["written_objects"] + told["present_objects"], len(held))
        destination.delete("not of the snapshot")
        self.assert_same(destination.digests(), held, destination)

    def step_older(self, destination, first, older):
        """What has changed since, as it was."""
        self.told("restore", self.repository.url, destination.url, "--snapshot", first, "--prefix", "tree/",
                  "--overwrite")
        self.assert_same(destination.digests("tree/"),
                         {key: digest for key, digest in older.items() if key.startswith("tree/")}, destination)

    def step_copy(self, copied):
        told = self.told("copy", self.source.url, copied.url, "--dry-run")
        self.assertEqual(told["copied_objects"], len(self.expected))
        self.assertEqual(copied.list(), {})
        held = self.held(copied)
        told = self.restored(copied, what="copy", start=self.source.url)
        self.assertEqual(told["copied_objects"], len(held))
        self.assert_same(copied.digests(), held, copied)
        self.assert_attributes(copied)
        told = self.restored(copied, what="copy", start=self.source.url)
        self.assertEqual((told["copied_objects"], told["unchanged_objects"]), (0, len(held)))

    def step_damage(self, destinations):
        """Each damaged object is named, and no other; none of it is restored as if it were good, not for a moment."""
        kept = {record["key"]: f"data/{record['at']}/{record['key']}" for record in self.records(self.repository.url)
                if "path" not in record}
        flipped, truncated, missing, large = "tree/3/010", "tree/4/011", "tree/5/012", "large/parts"
        body = bytearray(self.objects[flipped].bytes())
        body[len(body) // 2] ^= 1
        self.repository.put(kept[flipped], bytes(body))
        self.repository.put(kept[truncated], self.objects[truncated].bytes()[:-1])
        self.repository.delete(kept[missing])
        body = bytearray(self.objects[large].bytes())
        body[10 * MIB] ^= 1
        self.repository.put_parts(kept[large], bytes(body))
        expected = {flipped: "mismatch", truncated: "truncated", missing: "missing", large: "mismatch"}
        seen = expected if self.repository.has_etags else {truncated: "truncated", missing: "missing"}
        self.told_of(scenario.DAMAGED, seen, "verify", self.repository.url)
        self.told_of(scenario.DAMAGED, expected, "verify", self.repository.url, "--read")
        for destination in destinations:
            with self.subTest(damaged=destination.url):
                self.assert_good_alone(destination, expected)

    def assert_good_alone(self, destination, damaged):
        """What the destination has in place of a damaged object stays there."""
        for key in destination.list():
            if key not in damaged:
                destination.delete(key)
        for key in damaged:
            destination.put(key, b"of the destination")
        there = {key: hashlib.sha256(b"of the destination").hexdigest() for key in damaged}
        for prefix in ("tree/", "large/"):
            run = self.pbcopy("restore", self.repository.url, destination.url, "--prefix", prefix, "--overwrite",
                              "--json")
            self.assertEqual((run.exit_code, {each["key"] for each in run.json()["findings"]}),
                             (scenario.DAMAGED, {key for key in damaged if key.startswith(prefix)}), run.stderr[-3000:])
        self.assert_same(destination.digests(),
                         {key: digest for key, digest in {**self.expected, **there}.items()
                          if key.startswith(("tree/", "large/"))}, destination)


class Composed(Planned):
    """Of bytes that other objects have."""

    @classmethod
    def of(cls, body):
        made = cls("composed", len(body), attributes=(("ContentType", "text/composed"),))
        cls.body = body
        return made

    def bytes(self):
        return self.body
