//! Frames that make sense, read as they were written
#![no_main]

use arbitrary::Arbitrary;
use gost_ws::{Decoder, Header, Mask, Opcode, Role, encode_control};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    masked: bool,
    frames: Vec<(Kind, [u8; 4], &'a [u8])>,
    cut: u8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Data,
    Ping,
    Pong,
}

fuzz_target!(|input: Input<'_>| {
    let (mut wire, mut payload, mut ping) = (Vec::new(), Vec::new(), None);
    for (kind, key, bytes) in &input.frames {
        let key = input.masked.then_some(*key);
        match kind {
            Kind::Data => {
                payload.extend_from_slice(bytes);
                wire.extend_from_slice(&Header::data(bytes.len() as u64, key).encode());
                let start = wire.len();
                wire.extend_from_slice(bytes);
                if let Some(key) = key {
                    Mask::new(key).apply(&mut wire[start..]);
                }
            }
            Kind::Ping => {
                encode_control(&mut wire, Opcode::Ping, bytes, key);
                ping = Some(bytes[..bytes.len().min(125)].to_vec());
            }
            Kind::Pong => encode_control(&mut wire, Opcode::Pong, bytes, key),
        }
    }
    let role = if input.masked {
        Role::Server
    } else {
        Role::Client
    };
    let mut decoder = Decoder::new(role);
    let mut found = Vec::new();
    for piece in wire.chunks_mut(usize::from(input.cut) + 1) {
        let length = decoder.decode(piece);
        found.extend_from_slice(&piece[..length]);
    }
    assert_eq!(found, payload);
    assert_eq!(decoder.take_ping(), ping);
    assert!(decoder.end().is_none() && decoder.is_between_frames());
});
