"""A plugin of every kind, over HTTP or gRPC, for tests.

    plugin.py http|grpc PROTO [MODE]

PROTO is the file plugin.proto. It listens on a port of its own, says "listening PORT" and then a line
of JSON for each question: {"kind", "request", "token"}. MODE is how it fails: slow, error, garbage,
huge; without it, it answers. What it answers depends on the question alone, see answer(), and on the
environment: NODE is the node of a hop, LIMIT the limit. With the files CERT and KEY it has TLS.
"""

import base64
import concurrent.futures
import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

# Longer than anybody waits.
FOR_EVER = 600


def answer(kind, request):
    """The answer to a question, with the field names of the protocol."""
    if kind == "auth":
        ok = request["password"] == "secret"
        return {"ok": ok, "id": "id of " + request["username"]}
    if kind == "admission":
        return {"ok": not request["addr"].startswith("127.0.0.9:")}
    if kind == "bypass":
        return {"ok": "blocked" in request["addr"]}
    if kind == "hosts" or kind == "resolver":
        known = request["host"].endswith("." + kind + ".test")
        ips = ["not an address", "127.0.0.1"] if known else []
        return {"ips": ips, "ok": known}
    if kind == "hop":
        return json.loads(os.environ["NODE"])
    if kind == "ingress":
        return {"endpoint": "tunnel of " + request["host"]}
    if kind == "limiter":
        limit = int(os.environ["LIMIT"])
        return {"in": limit, "out": limit}
    if kind == "router":
        return {"dst": "10.0.0.0/8", "gateway": "gateway of " + request["dst"]}
    if kind == "sd-get":
        service = {"id": "1", "name": request["name"], "node": "n", "network": "tcp"}
        return {"services": [dict(service, address="127.0.0.1:1")]}
    return {"ok": True}


SAYING = threading.Lock()


def say(line):
    with SAYING:
        print(line, flush=True)


def note(kind, request, token):
    say(json.dumps({"kind": kind, "request": request, "token": token}))


# What a verb means for the kinds of which several things can be asked.
VERBS = {
    "ingress": {"GET": "ingress", "PUT": "ingress-set"},
    "sd": {"GET": "sd-get", "POST": "sd-register", "PUT": "sd-renew", "DELETE": "sd-delete"},
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mode = ""

    def any(self):
        url = urllib.parse.urlsplit(self.path)
        kind = url.path.strip("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body:
            request = json.loads(body)
        else:
            query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
            request = {key: values[-1] for key, values in query.items()}
        if kind in ("ingress", "sd"):
            kind = VERBS[kind][self.command]
        note(kind, request, self.headers.get("Authorization", ""))
        if self.headers.get("Content-Type") != "application/json":
            return self.reply(415, b"")
        if self.mode == "slow":
            time.sleep(FOR_EVER)
        if self.mode == "error":
            return self.reply(500, json.dumps(answer(kind, request)).encode())
        if self.mode == "garbage":
            return self.reply(200, b"\xff\x00<html>")
        if self.mode == "huge":
            return self.huge()
        data = request.get("data")
        reply = answer(kind, request)
        if kind == "rewriter":
            text = base64.b64decode(data).decode().upper()
            reply["data"] = base64.b64encode(text.encode()).decode()
        self.reply(200, json.dumps(reply).encode())

    do_GET = do_POST = do_PUT = do_DELETE = any

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def huge(self):
        """An answer without an end."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b'{"ok":true,"id":"')
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve_http(mode):
    Handler.mode = mode
    server = Server(("127.0.0.1", 0), Handler)
    if "CERT" in os.environ:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.environ["CERT"], os.environ["KEY"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    say("listening %d" % server.server_address[1])
    server.serve_forever()


# The kind of every method, and the fields that its answer has.
METHODS = {
    "Authenticator/Authenticate": "auth",
    "Admission/Admit": "admission",
    "Bypass/Bypass": "bypass",
    "Hop/Select": "hop",
    "HostMapper/Lookup": "hosts",
    "Resolver/Resolve": "resolver",
    "Ingress/GetRule": "ingress",
    "Ingress/SetRule": "ingress-set",
    "Limiter/Limit": "limiter",
    "Observer/Observe": "observer",
    "Recorder/Record": "recorder",
    "Router/GetRoute": "router",
    "SD/Register": "sd-register",
    "SD/Deregister": "sd-delete",
    "SD/Renew": "sd-renew",
    "SD/Get": "sd-get",
    "Rewriter/Rewrite": "rewriter",
}


def compiled(proto):
    """The module of a .proto file."""
    folder = tempfile.mkdtemp()
    path, name = os.path.split(os.path.abspath(proto))
    subprocess.run(["protoc", "-I", path, "--python_out", folder, name], check=True)
    sys.path.insert(0, folder)
    return __import__(name.replace(".proto", "_pb2"))


def serve_grpc(proto, mode):
    import grpc
    from google.protobuf import json_format

    module = compiled(proto)

    def handler(service, method):
        name = service.name + "/" + method.name
        kind = METHODS[name]
        Reply = getattr(module, method.output_type.name)

        def call(request, context):
            fields = json_format.MessageToDict(
                request, including_default_value_fields=True, preserving_proto_field_name=True
            )
            token = dict(context.invocation_metadata()).get("token", "")
            note(kind, fields, token)
            if mode == "slow":
                threading.Event().wait(FOR_EVER)
            if mode == "error":
                context.abort(grpc.StatusCode.INTERNAL, "out of\norder")
            if mode == "garbage":
                return b"\xff\xff\xff\xff"
            if mode == "huge":
                return b"\x12\x80\x80\x80\x20" + b"x" * (64 << 20)
            if kind == "hop":
                return Reply(node=json.dumps(answer(kind, fields)).encode()).SerializeToString()
            reply = json_format.ParseDict(answer(kind, fields), Reply())
            if kind == "rewriter":
                reply.data = request.data.upper()
            return reply.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(
            call, getattr(module, method.input_type.name).FromString, None
        )

    workers = concurrent.futures.ThreadPoolExecutor(max_workers=64)
    server = grpc.server(workers, options=[("grpc.max_send_message_length", -1)])
    for service in module.DESCRIPTOR.services_by_name.values():
        methods = {method.name: handler(service, method) for method in service.methods}
        name = "proto." + service.name
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
    if "CERT" in os.environ:
        pair = [open(os.environ[name], "rb").read() for name in ("KEY", "CERT")]
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say("listening %d" % port)
    server.wait_for_termination()


def main():
    protocol, proto = sys.argv[1:3]
    mode = sys.argv[3] if len(sys.argv) > 3 else ""
    if protocol == "http":
        serve_http(mode)
    else:
        serve_grpc(proto, mode)


main()
