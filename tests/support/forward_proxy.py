"""A forward proxy on loopback, as users have them: absolute-form requests of plain HTTP, CONNECT, a login
(Proxy-Authorization: Basic), SOCKS5. It resolves every name to loopback and notes each request line."""

import base64
import socket
import socketserver
import threading
from urllib.parse import urlsplit


class ForwardProxy:
    def __init__(self, login=None, tunnels_to_plain_ports=False, refusal=None):
        """`login` is "user:password"; `refusal` a status that every request gets."""
        self.login, self.refusal = login, refusal
        self.tunnels_to_plain_ports = tunnels_to_plain_ports
        self.lines = []  # request lines; "SOCKS host:port"
        self.secure_ports = set()  # that CONNECT may lead to, as most proxies have it
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                proxy.serve(self.request)

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # connections end in any way here

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    # ---- HTTP ----

    def serve(self, client):
        file = client.makefile("rb")
        if file.peek(1)[:1] == b"\x05":
            return self._serve_socks(client, file)
        while True:
            line = file.readline(1 << 16).decode("latin1").rstrip("\r\n")
            if not line:
                return None
            headers = []
            while (header := file.readline(1 << 16)) not in (b"\r\n", b""):
                headers.append(header)
            self.lines.append(line)
            method, target, _ = line.split(" ", 2)
            named = {name.strip().lower(): value.strip() for name, _, value in
                     (header.partition(b":") for header in headers)}
            wanted = b"Basic " + base64.b64encode((self.login or "").encode())
            if self.refusal:
                return self._refuse(client, self.refusal)
            if self.login and named.get(b"proxy-authorization") != wanted:
                return self._refuse(client, 407)
            if method == "CONNECT":
                return self._tunnel(client, file, target)
            if not target.startswith("http://"):
                return self._refuse(client, 400)
            if not self._pass_on(client, file, method, target, headers, named):
                return None

    @staticmethod
    def _refuse(client, status):
        client.sendall(b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)

    def _tunnel(self, client, file, target):
        port = int(target.rsplit(":", 1)[1])
        if port not in self.secure_ports and not self.tunnels_to_plain_ports:
            return self._refuse(client, 403)
        with socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\nx-amz-request-id: the-proxys-own\r\n"
                           b"Retry-After: 3600\r\n\r\n")
            _join(client, file, server)

    @staticmethod
    def _pass_on(client, file, method, target, headers, named):
        parts = urlsplit(target)
        path = target[len("http://") + len(parts.netloc):] or "/"
        with socket.create_connection(("127.0.0.1", parts.port or 80)) as server:
            kept = [header for header in headers if not header.lower().startswith((b"proxy-", b"connection:"))]
            server.sendall(f"{method} {path} HTTP/1.1\r\n".encode("latin1") + b"".join(kept) +
                           b"Connection: close\r\n\r\n" + file.read(int(named.get(b"content-length", 0))))
            while data := server.recv(1 << 16):
                client.sendall(data)
        return False

    # ---- SOCKS5: RFC 1928, no login; names are sent to the proxy (socks5h) or not ----

    def _serve_socks(self, client, file):
        _, count = file.read(2)
        file.read(count)
        client.sendall(b"\x05\x00")
        _, _, _, kind = file.read(4)
        host = {1: lambda: socket.inet_ntop(socket.AF_INET, file.read(4)),
                3: lambda: file.read(file.read(1)[0]).decode(),
                4: lambda: socket.inet_ntop(socket.AF_INET6, file.read(16))}[kind]()
        port = int.from_bytes(file.read(2), "big")
        self.lines.append(f"SOCKS {host}:{port}")
        with socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
            _join(client, file, server)


def _join(client, file, server):
    """Passes bytes both ways until both ends are through."""

    def back():
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    thread = threading.Thread(target=back, daemon=True)
    thread.start()
    while data := file.read1(1 << 16):
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)
    thread.join()
