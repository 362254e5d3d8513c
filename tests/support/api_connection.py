"""Requests to a Kubernetes API server over connections that are kept, one a thread: tests and stand-ins ask many times a
second, and a TLS handshake costs both sides more than an answer."""

import http.client
import io
import json
import threading
import urllib.error


class ApiConnection:
    def __init__(self, port, context, token):
        self.port, self.context, self.token = port, context, token
        self._kept = threading.local()

    def exchange(self, method, path, text=None, kind="application/json"):
        """The answer, whatever its status, and its body. A kept connection that the server has closed meanwhile is replaced."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        connection = getattr(self._kept, "connection", None)
        self._kept.connection = None
        if connection:
            try:
                connection.request(method, path, text, headers)
                answer = connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionError):
                connection.close()
                connection = None
        if not connection:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context)
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
        body = answer.read()
        if not answer.will_close:
            self._kept.connection = connection
        return answer, body

    def ask(self, method, path, body=None, kind="application/json"):
        """The JSON that answers; urllib.error.HTTPError for a status of failure."""
        answer, text = self.exchange(method, path, None if body is None else json.dumps(body).encode(), kind)
        if answer.status >= 400:
            raise urllib.error.HTTPError(path, answer.status, answer.reason, answer.headers, io.BytesIO(text))
        return json.loads(text)
