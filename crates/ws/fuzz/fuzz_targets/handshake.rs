//! Any bytes as a head, and any configuration of one
#![no_main]

use arbitrary::Arbitrary;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Request(&'a [u8]),
    Configuration {
        path: &'a str,
        host: &'a str,
        lines: Vec<(&'a str, &'a str)>,
    },
}

libfuzzer_sys::fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(bytes) => gost_ws_fuzz::any_head(bytes),
    Input::Request(bytes) => {
        let start = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
            Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        gost_ws_fuzz::any_head(&[&start[..], bytes, b"\r\n\r\n"].concat());
    }
    Input::Configuration { path, host, lines } => {
        gost_ws_fuzz::any_configuration(path, host, &lines);
    }
});
