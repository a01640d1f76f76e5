"""A W&B server on the loopback interface: as much of it as W&B's own client needs to send runs.

History and system lines are kept as the real one keeps them: each request says at which line it
begins, and lines that are there are overwritten.
"""

import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENTITY = "someone"


class Run:
    """What arrived of one run.

    Attributes:
        lines: file -> the number of a line -> its text.
        requests: how many requests brought lines of history.
        uploaded: files with their bytes.
        settings: of the run, as upserted last.
        exit_code: None while it runs.
    """

    def __init__(self, name):
        self.name = name
        self.lines = {}
        self.requests = 0
        self.uploaded = {}
        self.settings = {}
        self.exit_code = None

    @property
    def history(self):
        """Rows as W&B would draw them, in the order of their lines."""
        lines = self.lines.get("wandb-history.jsonl", {})
        return [json.loads(lines[number]) for number in sorted(lines)]

    @property
    def summary(self):
        lines = self.lines.get("wandb-summary.json", {})
        return json.loads(lines[max(lines)]) if lines else {}

    def take(self, content):
        for name, chunk in (content.get("files") or {}).items():
            kept = self.lines.setdefault(name, {})
            for number, line in enumerate(chunk["content"], start=chunk["offset"]):
                kept[number] = line
            self.requests += name == "wandb-history.jsonl"
        if content.get("complete"):
            self.exit_code = content.get("exitcode")

    def bucket(self):
        history = self.lines.get("wandb-history.jsonl", {})
        events = self.lines.get("wandb-events.jsonl", {})
        return {
            "id": f"id-{self.name}",
            "name": self.name,
            "displayName": self.settings.get("displayName"),
            "description": None,
            "config": self.settings.get("config"),
            "sweepName": None,
            "project": _project(self.settings.get("project")),
            "historyLineCount": len(history),
            "eventsLineCount": len(events),
            "logLineCount": 0,
            "historyTail": json.dumps([history[max(history)]] if history else []),
            "eventsTail": json.dumps([events[max(events)]] if events else []),
            "summaryMetrics": json.dumps(self.summary),
            "tags": self.settings.get("tags"),
            "notes": None,
            "wandbConfig": json.dumps({"t": 1}),  # by which the client knows that the run began
        }


class Server:
    """All runs that arrived, by name; its `environment` makes W&B's client talk to it.

    Attributes:
        runs: name -> what arrived of it.
        refuses: a status such as 500 in place of an answer, for as long as it is set.
    """

    def __init__(self):
        self.runs = {}
        self.refuses = None
        self.lock = threading.Lock()
        self.http = _Quiet(("127.0.0.1", 0), _handler(self))

    @property
    def address(self):
        return f"http://127.0.0.1:{self.http.server_port}"

    @property
    def environment(self):
        return {"WANDB_BASE_URL": self.address, "WANDB_API_KEY": "0" * 40}

    def run(self, name):
        return self.runs.setdefault(name, Run(name))

    def answer(self, query, variables):
        """To a request of GraphQL, by its name."""
        name = re.search(r"(?:query|mutation)\s+(\w+)", query)[1]
        if name == "Viewer":
            return {"viewer": {"id": "u", "entity": ENTITY, "username": ENTITY, "flags": "{}"}}
        if name == "ServerInfo":
            return {"serverInfo": {"cliVersionInfo": {"max_cli_version": "99.0.0"}}}
        if name == "RunResumeStatus":
            found = self.runs.get(variables["name"])
            project = _project(variables["project"])
            return {"model": {**project, "bucket": found and found.bucket()}}
        if name == "UpsertBucket":
            inserted = variables["name"] not in self.runs
            run = self.run(variables["name"])
            run.settings |= {key: value for key, value in variables.items() if value is not None}
            return {"upsertBucket": {"bucket": run.bucket(), "inserted": inserted}}
        if name == "CreateRunFiles":
            files = [
                {"name": file, "uploadUrl": f"{self.address}/upload/{variables['run']}/{file}"}
                for file in variables["files"]
            ]
            run = f"id-{variables['run']}"
            return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}
        return {}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that hangs up is none."""


def _project(name):
    return {"id": "p", "name": name, "entity": {"id": "e", "name": ENTITY}}


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def body(self):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def reply(self, content):
            refused = {"errors": [{"message": "permission denied"}]}
            sent = json.dumps(refused if server.refuses else content).encode()
            self.send_response(server.refuses or 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def do_GET(self):
            self.reply({})

        def do_PUT(self):
            _, _, run, name = self.path.split("/", 3)
            content = self.body()
            with server.lock:
                server.run(run).uploaded[name] = content
            self.reply({})

        def do_POST(self):
            try:
                content = json.loads(self.body() or b"{}")
            except ValueError:  # what the client tells of itself
                return self.reply({})
            with server.lock:
                if self.path.endswith("/file_stream"):
                    if not server.refuses:
                        server.run(self.path.split("/")[-2]).take(content)
                    self.reply({"exitcode": None, "limits": {}})
                elif "query" in content:
                    answer = server.answer(content["query"], content.get("variables") or {})
                    self.reply({"data": answer})
                else:
                    self.reply({})

    return Handler


@contextlib.contextmanager
def serving():
    """A server while the block lasts."""
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
