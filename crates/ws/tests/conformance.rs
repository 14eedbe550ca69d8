//! What a peer may send and what it may not, as a table: framing, fragmentation, control frames,
//! reserved bits and opcodes, lengths, masking, closing.

use gost_ws::{Close, Decoder, End, Header, Mask, Opcode, Role, Violation, encode_control};

/// One conversation: what is sent, and what is to come of it.
struct Case {
    name: &'static str,
    /// Frames as a server sends them, in hex; a client's are made of them by masking.
    wire: String,
    payload: Vec<u8>,
    /// The payload of the last ping.
    ping: Option<Vec<u8>>,
    end: Option<End>,
}

fn case(name: &'static str, wire: &str) -> Case {
    Case {
        name,
        wire: wire.split_whitespace().collect(),
        payload: Vec::new(),
        ping: None,
        end: None,
    }
}

impl Case {
    fn gives(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = payload.as_ref().to_vec();
        self
    }

    fn pings(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.ping = Some(payload.as_ref().to_vec());
        self
    }

    fn closes(mut self, close: Close) -> Self {
        self.end = Some(End::Closed(close));
        self
    }

    fn violates(mut self, violation: Violation) -> Self {
        self.end = Some(End::Violated(violation));
        self
    }
}

fn long(header: &str, length: usize) -> String {
    format!("{header} {}", "61".repeat(length))
}

fn table() -> Vec<Case> {
    let a = |n| vec![b'a'; n];
    vec![
        // Lengths.
        case("empty binary", "8200"),
        case("empty text", "8100"),
        case("125 bytes", &long("827d", 125)).gives(a(125)),
        case("126 bytes", &long("827e007e", 126)).gives(a(126)),
        case("127 bytes", &long("827e007f", 127)).gives(a(127)),
        case("65535 bytes", &long("827effff", 65535)).gives(a(65535)),
        case("65536 bytes", &long("827f0000000000010000", 65536)).gives(a(65536)),
        case(
            "a length longer than need be",
            &long("827f0000000000000003", 3),
        )
        .gives(a(3)),
        case("a frame of a tebibyte", &long("827f0000010000000000", 9)).gives(a(9)),
        case("a length of 2^63", "827f8000000000000000 61").violates(Violation::Length),
        case("text is data", "8103616263").gives("abc"),
        case("text that is not UTF-8", "8101ff").gives([0xff]),
        // Fragmentation.
        case("two fragments", "020161 800162").gives("ab"),
        case("text in three fragments", "010161 000162 800163").gives("abc"),
        case("empty fragments", "0200 0000 000161 8000").gives("a"),
        case("a ping between fragments", "020161 890170 800162")
            .gives("ab")
            .pings("p"),
        case("close between fragments", "020161 880203e8")
            .gives("a")
            .closes(Close::new(1000, "")),
        case("continuation first", "800161").violates(Violation::Continuation),
        case("continuation first, not the last", "000161").violates(Violation::Continuation),
        case("continuation after the last", "820161 800162")
            .gives("a")
            .violates(Violation::Continuation),
        case("a message in a message", "020161 820162")
            .gives("a")
            .violates(Violation::Interrupted),
        case("text in a message", "020161 010162")
            .gives("a")
            .violates(Violation::Interrupted),
        // Ping and pong.
        case("ping", "8900").pings(""),
        case("ping with payload", "890568656c6c6f").pings("hello"),
        case("ping with 125 bytes", &long("897d", 125)).pings(a(125)),
        case("ping with 126 bytes", &long("897e007e", 126)).violates(Violation::LongControl),
        case("a fragmented ping", "090161").violates(Violation::FragmentedControl),
        case("ten pings", &"890161 ".repeat(10)).pings("a"),
        case("the last ping counts", "890161 890162").pings("b"),
        case("pong that nobody asked for", "8a0161"),
        case("pong and data", "8a00 820161").gives("a"),
        case("pong with 126 bytes", &long("8a7e007e", 126)).violates(Violation::LongControl),
        // Reserved bits and opcodes.
        case("RSV1", "c20161").violates(Violation::Reserved(1)),
        case("RSV2", "a20161").violates(Violation::Reserved(2)),
        case("RSV3", "920161").violates(Violation::Reserved(3)),
        case("all of them", "f20161").violates(Violation::Reserved(1)),
        case("RSV1 on a ping", "c900").violates(Violation::Reserved(1)),
        case("RSV1 after data", "820161 c20162")
            .gives("a")
            .violates(Violation::Reserved(1)),
        case("opcode 3", "8300").violates(Violation::Opcode(3)),
        case("opcode 4", "8400").violates(Violation::Opcode(4)),
        case("opcode 5", "8500").violates(Violation::Opcode(5)),
        case("opcode 6", "8600").violates(Violation::Opcode(6)),
        case("opcode 7", "8700").violates(Violation::Opcode(7)),
        case("opcode 11", "8b00").violates(Violation::Opcode(11)),
        case("opcode 12", "8c00").violates(Violation::Opcode(12)),
        case("opcode 13", "8d00").violates(Violation::Opcode(13)),
        case("opcode 14", "8e00").violates(Violation::Opcode(14)),
        case("opcode 15", "8f00").violates(Violation::Opcode(15)),
        // Closing.
        case("close without a code", "8800").closes(Close::default()),
        case("close", "880203e8").closes(Close::new(1000, "")),
        case("close with a reason", "880603e96279652e").closes(Close::new(1001, "bye.")),
        case("close of an application", "88020bb8").closes(Close::new(3000, "")),
        case("what follows a close", "880203e8 820161 c20162").closes(Close::new(1000, "")),
        case("half a code", "880103").violates(Violation::ShortClose),
        case("code 0", "88020000").violates(Violation::CloseCode(0)),
        case("code 999", "880203e7").violates(Violation::CloseCode(999)),
        case("code 1004", "880203ec").violates(Violation::CloseCode(1004)),
        case("code 1005", "880203ed").violates(Violation::CloseCode(1005)),
        case("code 1006", "880203ee").violates(Violation::CloseCode(1006)),
        case("code 1016", "880203f8").violates(Violation::CloseCode(1016)),
        case("code 2999", "88020bb7").violates(Violation::CloseCode(2999)),
        case("code 5000", "88021388").violates(Violation::CloseCode(5000)),
        case("a reason that is not UTF-8", "880303e8ff").violates(Violation::CloseReason),
        case("a reason of 123 bytes", &long("887d03e8", 123))
            .closes(Close::new(1000, "a".repeat(123))),
        case("a close of 126 bytes", &long("887e007e03e8", 124)).violates(Violation::LongControl),
        case("a fragmented close", "080203e8").violates(Violation::FragmentedControl),
        case("data, ping, close", "820161 890170 820162 880203e8")
            .gives("ab")
            .pings("p")
            .closes(Close::new(1000, "")),
    ]
}

/// The frames of a server as those of a client, each masked with another key.
fn masked(wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = wire;
    let mut count = 1_u8;
    while let [first, short, ..] = *rest {
        let (extra, length) = match short {
            126 => (2, u64::from(u16::from_be_bytes([rest[2], rest[3]]))),
            127 => (8, u64::from_be_bytes(rest[2..10].try_into().unwrap())),
            short => (0, short.into()),
        };
        let key = [count, 0xa5 ^ count, 0, 0xff - count];
        count += 1;
        out.extend_from_slice(&[first, 0x80 | short]);
        out.extend_from_slice(&rest[2..2 + extra]);
        out.extend_from_slice(&key);
        let body = &rest[2 + extra..];
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(body.len());
        let start = out.len();
        out.extend_from_slice(&body[..length]);
        Mask::new(key).apply(&mut out[start..]);
        rest = &body[length..];
    }
    out
}

/// Feeds the wire in pieces of a size.
fn run(role: Role, wire: &[u8], piece: usize) -> (Vec<u8>, Option<Vec<u8>>, Option<End>) {
    let mut decoder = Decoder::new(role);
    let (mut payload, mut ping) = (Vec::new(), None);
    for piece in wire.chunks(piece) {
        let mut piece = piece.to_vec();
        let length = decoder.decode(&mut piece);
        payload.extend_from_slice(&piece[..length]);
        ping = decoder.take_ping().or(ping);
    }
    (payload, ping, decoder.end().cloned())
}

#[test]
fn both_ends_take_what_is_right_and_nothing_else_however_it_is_cut() {
    for case in table() {
        let plain = hex::decode(&case.wire).unwrap();
        let masked = masked(&plain);
        for (role, wire) in [(Role::Client, &plain), (Role::Server, &masked)] {
            for piece in [1, 2, 3, 7, 64, 1000, usize::MAX] {
                let (payload, ping, end) = run(role, wire, piece);
                let name = format!("{} ({role:?}, pieces of {piece})", case.name);
                assert!(payload == case.payload, "{name}: {} bytes", payload.len());
                assert_eq!((&ping, &end), (&case.ping, &case.end), "{name}");
            }
        }
    }
}

#[test]
fn the_wrong_masking_is_seen_in_the_second_byte() {
    for role in [Role::Client, Role::Server] {
        let other = match role {
            Role::Client => Some([1, 2, 3, 4]),
            Role::Server => None,
        };
        let mut frames = vec![Header::data(5, other).encode().to_vec()];
        for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
            let mut frame = Vec::new();
            encode_control(&mut frame, opcode, b"", other);
            frames.push(frame);
        }
        for frame in frames {
            let (payload, _, end) = run(role, &frame[..2], 1);
            assert_eq!(
                (payload, end),
                (vec![], Some(End::Violated(Violation::Mask)))
            );
        }
    }
}

#[test]
fn close_frames_say_what_was_violated() {
    for (violation, code, text) in [
        (Violation::Mask, 1002, "bad MASK"),
        (Violation::Reserved(1), 1002, "RSV1 set"),
        (Violation::Opcode(3), 1002, "bad opcode 3"),
        (Violation::Continuation, 1002, "continuation after FIN"),
        (
            Violation::CloseReason,
            1007,
            "invalid utf8 payload in close frame",
        ),
    ] {
        assert_eq!(violation.close(), Close::new(code, text));
    }
}

#[test]
fn the_end_of_the_connection_is_clean_between_frames_only() {
    let mut decoder = Decoder::new(Role::Client);
    assert!(decoder.is_between_frames());
    for (bytes, clean) in [
        (&b"\x82"[..], false),
        (b"\x02", false),
        (b"a", false),
        (b"b", true),
        (b"\x89\x01", false),
        (b"p", true),
        (b"\x02\x00", true),
    ] {
        decoder.decode(&mut bytes.to_vec());
        assert_eq!(decoder.is_between_frames(), clean, "{bytes:?}");
    }
}

#[test]
fn nothing_of_a_message_is_kept() {
    let mut decoder = Decoder::new(Role::Server);
    let mut head = Header::data(1 << 40, Some([0; 4])).encode().to_vec();
    assert_eq!(decoder.decode(&mut head), 0);
    let mut buffer = vec![7; 65536];
    for _ in 0..64 {
        assert_eq!(decoder.decode(&mut buffer), buffer.len());
    }
    assert!(!decoder.is_between_frames());
    assert!(size_of::<Decoder>() <= 192, "{}", size_of::<Decoder>());
}
