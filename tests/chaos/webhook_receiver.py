"""A receiver of webhooks in this process: notes what it accepts, and can be away."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from service.client import InvalidSignatureError, verify_webhook
from tests.chaos.history import Notice

ACCEPTED = 204
AWAY = 503


class WebhookReceiver:
    """secret: of the webhook, which is registered once the receiver has its url."""

    def __init__(self) -> None:
        self.secret = ""
        self.is_away = threading.Event()
        self.notices: list[Notice] = []
        self.forgeries: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, body: bytes, headers: dict[str, str]) -> None:
        try:
            delivery_id = verify_webhook(body, headers, self.secret)
        except InvalidSignatureError as error:
            self.forgeries.append(f"{error} {headers}")
            return
        told = json.loads(body)
        job = told["data"]
        self.notices.append(
            Notice(delivery_id, told["type"], job["job_id"], job["event_seq"], job["state"])
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                num_bytes = int(self.headers["Content-Length"])
                body = self.rfile.read(num_bytes)
                if len(body) < num_bytes:
                    # Its sender was killed in the middle: not a delivery, which comes again whole.
                    self.close_connection = True
                    return
                is_away = receiver.is_away.is_set()
                if not is_away:
                    receiver._take(body, dict(self.headers))
                self.send_response(AWAY if is_away else ACCEPTED)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        return Handler
