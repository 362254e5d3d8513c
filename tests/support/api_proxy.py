"""A proxy in front of a Kubernetes API server that answers chosen requests in its place: with a status, not at all, or
by breaking the connection. Plain HTTP on loopback; it logs in to the API server by itself."""

import http.client
import http.server
import json
import os
import ssl
import threading
import urllib.parse

HANG, RESET = "hang", "reset"
REASONS = {403: "Forbidden", 404: "NotFound", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


class ApiProxy:
    """`fault(number, method, path)` says what a request gets, of which this is the number-th since reset(): a status,
    HANG, RESET, or None to be passed on."""

    def __init__(self, cluster, folder):
        self.fault = lambda number, method, path: None
        self.requests, self.faults = [], 0
        self._lock, self._ending = threading.Lock(), threading.Event()
        proxy, port = self, urllib.parse.urlsplit(cluster.server).port

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.body()
                wrong = proxy._see(self.command, self.path)
                if wrong in (HANG, RESET):
                    if wrong == HANG:
                        proxy._ending.wait(120)
                    self.close_connection = True
                    return
                if wrong:
                    text = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": wrong,
                                       "reason": REASONS[wrong], "message": "said by the proxy"}).encode()
                    return self.send(wrong, [("Content-Type", "application/json")], text)
                headers = {name: value for name, value in self.headers.items()
                           if name.lower() not in ("host", "connection", "accept-encoding", "transfer-encoding",
                                                   "content-length")}
                headers["Authorization"] = f"Bearer {cluster.token}"
                behind = http.client.HTTPSConnection("127.0.0.1", port, context=cluster.context, timeout=120)
                behind.request(self.command, self.path, body, headers)
                answer = behind.getresponse()
                if "watch=true" in self.path:
                    return self.pass_on(answer)
                kept = [(name, value) for name, value in answer.getheaders()
                        if name.lower() not in ("connection", "transfer-encoding", "content-length")]
                self.send(answer.status, kept, answer.read())
                behind.close()

            def pass_on(self, answer):
                """Line by line, as they come."""
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type"))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.flush()
                self.close_connection = True
                for line in answer:
                    self.wfile.write(line)
                    self.wfile.flush()

            def body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def send(self, status, headers, body):
                self.send_response(status)
                for name, value in [*headers, ("Content-Length", str(len(body)))]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # connections end in any way here

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.kubeconfig = os.path.join(folder, "proxy.kubeconfig")
        with open(self.kubeconfig, "w", encoding="ascii") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "proxy",
                       "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                       "users": [{"name": "proxy", "user": {}}],
                       "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}]}, file)

    def reset(self, fault=None):
        with self._lock:
            self.requests, self.faults = [], 0
            self.fault = fault or (lambda number, method, path: None)

    def _see(self, method, path):
        with self._lock:
            wrong = self.fault(len(self.requests), method, path)
            self.requests.append((method, path))
            self.faults += wrong is not None
            return wrong

    def stop(self):
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
