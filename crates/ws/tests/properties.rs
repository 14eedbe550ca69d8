//! Random streams of frames, cut at random, and random bytes.

use gost_ws::{
    Decoder, Header, Mask, Opcode, Role, encode_control,
    handshake::{Key, RequestHead, ResponseHead},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Piece {
    /// A message in fragments of these sizes.
    Message(Vec<usize>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn piece() -> impl Strategy<Value = Piece> {
    let control = || prop::collection::vec(any::<u8>(), 0..=125);
    prop_oneof![
        3 => prop::collection::vec(0..300_usize, 1..4).prop_map(Piece::Message),
        1 => control().prop_map(Piece::Ping),
        1 => control().prop_map(Piece::Pong),
    ]
}

/// What the pieces look like on the wire, and the payload of their data.
fn wire(pieces: &[Piece], role: Role, seed: u8) -> (Vec<u8>, Vec<u8>) {
    let (mut wire, mut payload) = (Vec::new(), Vec::new());
    let mut next = seed;
    let mut byte = || {
        next = next.wrapping_mul(13).wrapping_add(7);
        next
    };
    for piece in pieces {
        let key = (role == Role::Server).then(|| [byte(), byte(), byte(), byte()]);
        match piece {
            Piece::Ping(data) => encode_control(&mut wire, Opcode::Ping, data, key),
            Piece::Pong(data) => encode_control(&mut wire, Opcode::Pong, data, key),
            Piece::Message(sizes) => {
                for (i, size) in sizes.iter().enumerate() {
                    let mut data: Vec<_> = std::iter::repeat_with(&mut byte).take(*size).collect();
                    payload.extend_from_slice(&data);
                    let mut header = Header::data(data.len() as u64, key).encode().to_vec();
                    if i > 0 {
                        header[0] &= 0xf0;
                    }
                    if i + 1 < sizes.len() {
                        header[0] &= 0x7f;
                    }
                    wire.extend_from_slice(&header);
                    if let Some(key) = key {
                        Mask::new(key).apply(&mut data);
                    }
                    wire.extend_from_slice(&data);
                }
            }
        }
    }
    (wire, payload)
}

proptest! {
    #[test]
    fn frames_come_out_whole_however_they_are_cut(
        pieces in prop::collection::vec(piece(), 0..12),
        server: bool,
        seed: u8,
        cuts in prop::collection::vec(1..400_usize, 1..50),
    ) {
        let role = if server { Role::Server } else { Role::Client };
        let (wire, payload) = wire(&pieces, role, seed);
        let mut decoder = Decoder::new(role);
        let mut found = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(*cut));
            let mut now = now.to_vec();
            let length = decoder.decode(&mut now);
            found.extend_from_slice(&now[..length]);
            rest = later;
        }
        prop_assert_eq!(found, payload);
        prop_assert_eq!(decoder.end(), None);
        prop_assert!(decoder.is_between_frames());
    }

    #[test]
    fn no_bytes_upset_a_decoder(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        server: bool,
        at in any::<prop::sample::Index>(),
    ) {
        let role = if server { Role::Server } else { Role::Client };
        let mut whole = Decoder::new(role);
        let mut all = bytes.clone();
        let length = whole.decode(&mut all);

        let mut halved = Decoder::new(role);
        let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));
        let (mut head, mut tail) = (head.to_vec(), tail.to_vec());
        let first = halved.decode(&mut head);
        let second = halved.decode(&mut tail);
        prop_assert_eq!([&head[..first], &tail[..second]].concat(), &all[..length]);
        prop_assert_eq!(halved.end(), whole.end());
    }

    #[test]
    fn no_bytes_upset_the_readers_of_heads(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = RequestHead::parse(&bytes, "/ws");
        let _ = ResponseHead::parse(&bytes, &Key::new([0; 16]));
        let request = [b"GET /ws HTTP/1.1\r\nHost: a\r\n", &bytes[..], b"\r\n\r\n"].concat();
        let _ = RequestHead::parse(&request, "/ws");
        let response = [b"HTTP/1.1 101 ", &bytes[..], b"\r\n\r\n"].concat();
        let _ = ResponseHead::parse(&response, &Key::new([0; 16]));
    }
}
