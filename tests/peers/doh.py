"""DNS over HTTPS for clients without HTTP/2: gives every name the address 127.0.0.1.

Usage: doh.py CERTIFICATE KEY
"""

import http.server
import ssl
import sys


def answer(query):
    end = query.index(0, 12) + 1
    is_a = query[end : end + 2] == b"\0\1"
    head = query[:2] + b"\x81\x80" + b"\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if is_a else b""
    return head + query[12 : end + 4] + record


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] != "application/dns-message":
            self.send_error(415)
            return
        # What a client must be able to refuse.
        if self.path == "/teapot":
            self.send_error(418)
            return
        said = b"\0" * 100000 if self.path == "/enormous" else answer(body)
        self.send_response(200)
        self.send_header("Content-Type", "application/dns-message")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", server.server_address[1], flush=True)
server.serve_forever()
