"""Forward proxies, as http_proxy and its kin name them: absolute requests for plain HTTP, tunnels for TLS, SOCKS,
logins, no_proxy."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from forward_proxy import ForwardProxy
from scenario import REFUSED, UNREACHABLE, some_bytes

ODD_KEYS = ("a b", "a//b", "../up", "./here", "x/../y", "50%", "q?a=b&c", "hash#", "ü/é", "plus+", "~-_.", "back\\slash")


class Proxies(scenario.Scenario):
    def proxy(self, **more):
        proxy = ForwardProxy(**more)
        self.addCleanup(proxy.stop)
        return proxy

    def filled(self, *arguments, **more):
        origin = self.origin(*arguments, buckets=("source", "repository", "restored"), **more)
        return origin, origin.bucket("source")

    def round_trip(self, urls, **variables):
        source, repository, restored = urls
        self.succeed("backup", source, repository, **variables)
        self.succeed("verify", repository, "--read", **variables)
        self.succeed("restore", repository, restored, **variables)

    def test_plain_http_with_a_login(self):
        origin, source = self.filled()
        source.put_many({key: key.encode() for key in ODD_KEYS})
        source.put_parts("large", some_bytes(11 << 20), 5 << 20)
        proxy = self.proxy(login="user:pass/word")
        # The name is known to the proxy alone.
        urls = [origin.url(each).replace("127.0.0.1", "store.test") for each in ("source", "repository", "restored")]
        self.round_trip(urls, http_proxy=f"http://user:pass%2Fword@127.0.0.1:{proxy.port}")
        self.assert_same_objects(source, origin.bucket("restored"))
        self.assertTrue(all(f" http://store.test:{origin.port}/" in line for line in proxy.lines), proxy.lines[:3])
        self.assertTrue(any("/restored/x/../y " in line for line in proxy.lines))
        for login in ("user:wrong-secret@", ""):
            run = self.fail_with(REFUSED, "verify", urls[1], "-vv", says="407", hint="proxy",
                                 http_proxy=f"http://{login}127.0.0.1:{proxy.port}")
            self.assertNotIn("wrong-secret", run.stdout + run.stderr)
        # A proxy's URL that libcurl cannot read is not repeated either.
        run = self.fail_with(UNREACHABLE, "verify", urls[1], "-vv", hint="proxy",
                             http_proxy="http://user:wrong-secret@[bad:1")
        self.assertNotIn("wrong-secret", run.stdout + run.stderr)

    def test_all_proxy_counts_and_capitals_of_http_proxy_do_not(self):
        origin, source = self.filled()
        source.put("a", b"1")
        for name in ("all_proxy", "ALL_PROXY"):
            proxy = self.proxy()
            self.succeed("copy", origin.url("source"), origin.url("restored"), **{name: proxy.url})
            self.assertTrue(proxy.lines)
            self.assertTrue(all(" http://127.0.0.1:" in line for line in proxy.lines), proxy.lines)
        proxy = self.proxy()
        self.succeed("copy", origin.url("source"), origin.url("restored"), HTTP_PROXY=proxy.url)
        self.assertEqual(proxy.lines, [])

    def test_no_proxy(self):
        origin, source = self.filled()
        source.put("a", b"1")
        for exempt, is_used in (("127.0.0.0/8", False), ("10.0.0.0/8, 127.0.0.1/32", False), ("127.0.0.1", False),
                                ("*", False), ("10.0.0.0/8", True), ("example.com", True)):
            with self.subTest(exempt):
                proxy = self.proxy()
                run = self.succeed("copy", origin.url("source"), origin.url("repository"), "-v", http_proxy=proxy.url,
                                   no_proxy=exempt)
                self.assertEqual(bool(proxy.lines), is_used, run)

    def test_tunnels_for_tls(self):
        authority, certificate, key = self.certificates()
        origin = self.origin("--tls-cert", certificate, "--tls-key", key, "--fill", "source:20:100:flat",
                             buckets=("repository", "restored"), scheme="https")
        proxy = self.proxy(login="user:password")
        proxy.secure_ports.add(origin.port)
        urls = [origin.url(each) for each in ("source", "repository", "restored")]
        variables = {"https_proxy": f"http://user:password@127.0.0.1:{proxy.port}", "AWS_CA_BUNDLE": authority}
        source, repository, restored = urls
        for command in ("backup", source, repository), ("restore", repository, restored):
            self.succeed(*command, "--ca-bundle", authority, timeout_s=60, **variables)
        self.assertEqual({line.split()[0] for line in proxy.lines}, {"CONNECT"})
        # Refused: the error is the proxy's, comes soon, and shows no login.
        wrong = {"https_proxy": f"http://user:wrong-secret@127.0.0.1:{proxy.port}"}
        run = self.fail_with(UNREACHABLE, "verify", repository, "--ca-bundle", authority, "-vv",
                             says=("proxy", "407"), hint="https_proxy", timeout_s=60, **wrong)
        self.assertLess(run.seconds, 5)
        self.assertNotIn("wrong-secret", run.stdout + run.stderr)
        refusing = self.proxy(refusal=503)
        self.fail_with(UNREACHABLE, "verify", repository, "--ca-bundle", authority, says=("proxy", "503"),
                       timeout_s=60, https_proxy=refusing.url)
        self.assertGreater(len(refusing.lines), 1, "tried again")

    def test_socks(self):
        origin, source = self.filled()
        source.put_many({key: key.encode() for key in ODD_KEYS})
        proxy = self.proxy()
        urls = [origin.url(each).replace("127.0.0.1", "store.test") for each in ("source", "repository", "restored")]
        self.round_trip(urls, all_proxy=f"socks5h://127.0.0.1:{proxy.port}")
        self.assertEqual(set(proxy.lines), {f"SOCKS store.test:{origin.port}"})
        self.assert_same_objects(source, origin.bucket("restored"))


if __name__ == "__main__":
    scenario.main()
