"""A proxy in front of an S3 server that delivers some writes late: the client's connection breaks at once, and the
request reaches the server seconds afterwards, whether or not the client still lives."""

import random
import socket
import socketserver
import threading
import time


class LateProxy:
    def __init__(self, port, seed, probability=0.03, delay_s=(0.2, 4.0)):
        self.port_behind = port
        self.random = random.Random(seed)
        self.probability, self.delay_s = probability, delay_s
        self.late = 0
        self._lock = threading.Lock()
        self._timers = []
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with socket.create_connection(("127.0.0.1", proxy.port_behind)) as server:
                    self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    client_file, server_file = self.request.makefile("rb"), server.makefile("rb")
                    while proxy.pass_on(self.request, client_file, server, server_file):
                        pass

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # connections end in any way here

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def pass_on(self, client, client_file, server, server_file):
        """One request and its answer. False where the connection ends."""
        head = read_head(client_file)
        if not head:
            return False
        request = head + client_file.read(length_of(head))
        method = head.split(b" ", 1)[0]
        with self._lock:
            is_late = method in (b"PUT", b"POST", b"DELETE") and self.random.random() < self.probability
            delay_s = self.random.uniform(*self.delay_s)
            self.late += is_late
        if is_late:
            timer = threading.Timer(delay_s, self._deliver, (request,))
            timer.daemon = True
            timer.start()
            self._timers.append(timer)
            return False
        server.sendall(request)
        answer = read_head(server_file)
        if not answer:
            return False
        client.sendall(answer)
        has_body = method != b"HEAD" and b" 204 " not in answer[:16] and b" 304 " not in answer[:16]
        left = length_of(answer) if has_body else 0
        while left:
            piece = server_file.read(min(left, 1 << 16))
            if not piece:
                return False
            client.sendall(piece)
            left -= len(piece)
        return b"connection: close" not in answer.lower()

    def _deliver(self, request):
        try:
            with socket.create_connection(("127.0.0.1", self.port_behind), timeout=20) as server:
                server.sendall(request)
                server.recv(1 << 16)
        except OSError:
            pass

    def settle(self):
        """Waits until all that is late has been delivered."""
        for timer in self._timers:
            timer.join()
        self._timers.clear()
        time.sleep(0.05)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def read_head(file):
    head = b""
    while True:
        line = file.readline(1 << 16)
        head += line
        if line in (b"\r\n", b"\n"):
            return head
        if not line:
            return b""


def length_of(head):
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":", 1)[1])
    return 0
