//! Both ends of a connection, one of them by hand.

use std::time::Duration;

use gost_testkit::PATIENCE;
use gost_ws::{Decoder, End, Header, Mask, Opcode, Role, encode_control};
use gost_x_ws::WsStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Waits for what should come soon.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

/// What happens if nothing happens for a while.
pub(crate) async fn nothing_for<T>(time: Duration, work: impl Future<Output = T>) {
    assert!(tokio::time::timeout(time, work).await.is_err());
}

/// The other end of a connection, which does what it is told, frame by frame.
pub(crate) struct Hand<S> {
    pub(crate) io: S,
    role: Role,
    /// What was read.
    pub(crate) wire: Vec<u8>,
}

/// Our end, and the other by hand.
pub(crate) fn pair(ours: Role) -> (WsStream, Hand<DuplexStream>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let hand = Hand::new(
        far,
        match ours {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        },
    );
    (WsStream::new(Box::new(near), ours), hand)
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Hand<S> {
    pub(crate) const fn new(io: S, role: Role) -> Self {
        let wire = Vec::new();
        Self { io, role, wire }
    }

    fn key(&self) -> Option<[u8; 4]> {
        (self.role == Role::Client).then_some([0x37, 0xfa, 0x21, 0x3d])
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.io.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn data(&mut self, payload: &[u8]) {
        let mut frame = Header::data(payload.len() as u64, self.key())
            .encode()
            .to_vec();
        let start = frame.len();
        frame.extend_from_slice(payload);
        if let Some(key) = self.key() {
            Mask::new(key).apply(&mut frame[start..]);
        }
        self.send(&frame).await;
    }

    pub(crate) async fn control(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        encode_control(&mut frame, opcode, payload, self.key());
        self.send(&frame).await;
    }

    /// Reads until the wire has so many bytes.
    pub(crate) async fn read(&mut self, length: usize) -> &[u8] {
        while self.wire.len() < length {
            let n = soon(self.io.read_buf(&mut self.wire)).await.unwrap();
            assert!(n > 0, "ended after {} bytes", self.wire.len());
        }
        &self.wire
    }

    /// Reads one control frame.
    pub(crate) async fn next_control(&mut self, opcode: Opcode) -> Vec<u8> {
        let mut frame = vec![0; 2];
        soon(self.io.read_exact(&mut frame)).await.unwrap();
        assert_eq!(frame[0], 0x80 | opcode.bits(), "{frame:?}");
        let masked = if self.role == Role::Server { 4 } else { 0 };
        assert_eq!(frame[1] & 0x80 != 0, masked > 0);
        let mut rest = vec![0; masked + usize::from(frame[1] & 0x7f)];
        soon(self.io.read_exact(&mut rest)).await.unwrap();
        let mut payload = rest.split_off(masked);
        if masked > 0 {
            Mask::new([rest[0], rest[1], rest[2], rest[3]]).apply(&mut payload);
        }
        payload
    }

    /// Reads to the end of the connection.
    pub(crate) async fn rest(&mut self) -> &[u8] {
        soon(self.io.read_to_end(&mut self.wire)).await.unwrap();
        &self.wire
    }

    /// What the bytes on the wire carry, and how they ended.
    pub(crate) fn decoded(&self) -> (Vec<u8>, Option<End>) {
        let mut decoder = Decoder::new(self.role);
        let mut wire = self.wire.clone();
        let length = decoder.decode(&mut wire);
        wire.truncate(length);
        (wire, decoder.end().cloned())
    }
}
