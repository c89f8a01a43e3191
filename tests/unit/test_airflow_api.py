"""What the operations ask of Airflow goes on when a connection leads into nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from operations import airflow_api
from operations.airflow_api import AirflowApi
from operations.deployment import Deployment


class Server(ThreadingHTTPServer):
    """Answers everything, but no first request of a path with `silent` in it."""

    daemon_threads = True
    block_on_close = False
    asked: list[str]


class Answer(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if "silent" in self.path and self.server.asked.count(f"{self.command} {self.path}") == 1:
            time.sleep(1)
            return
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        body = json.dumps({"access_token": "token", "state": "success"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(airflow_api, "TIMEOUT_SECONDS", 0.3)
    with Server(("127.0.0.1", 0), Answer) as made:
        made.asked = []
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def _api(server: Server) -> AirflowApi:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return AirflowApi(
        Deployment(stack="local", web_ui_url=url, admin_user="u", admin_password="p", namespace="airflow", kubeconfig={}, cost_tags={})
    )


def test_a_question_that_gets_no_answer_is_asked_again(server: Server) -> None:
    assert _api(server).call("GET", "/silent") == {"access_token": "token", "state": "success"}
    assert server.asked.count("GET /api/v2/silent") == 2


def test_what_changes_something_is_not_repeated(server: Server) -> None:
    with pytest.raises((requests.ConnectionError, requests.Timeout)):
        _api(server).call("POST", "/silent")
    assert server.asked.count("POST /api/v2/silent") == 1
