//! Takes frames out of received bytes, however these were cut.

use bytes::{Buf, BytesMut};

use crate::config::Version;
use crate::error::SessionError;
use crate::frame::{Command, HEADER_LEN, Header, StreamId, UPDATE_LEN, check_version};

/// What comes next in the received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    Syn(StreamId),
    Fin(StreamId),
    Nop,
    Update {
        stream: StreamId,
        consumed: u32,
        window: u32,
    },
    /// `length` bytes of data (at least one) are at the front of the input,
    /// and it is the caller who must take them off. A payload is handed on
    /// piece by piece as it arrives: no frame is collected first.
    Data {
        stream: StreamId,
        length: usize,
    },
}

/// Keeps what a cut left behind: bytes of a header, or how much of a payload
/// is still to come. So the caller's buffer is always emptied and may be
/// shared between sessions.
#[derive(Debug)]
pub(crate) struct Parser {
    version: Version,
    /// The beginning of a header, or of a header with the payload of UPD.
    partial: [u8; HEADER_LEN + UPDATE_LEN],
    have: usize,
    payload: Option<(StreamId, usize)>,
}

impl Parser {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            version,
            partial: [0; HEADER_LEN + UPDATE_LEN],
            have: 0,
            payload: None,
        }
    }

    /// The next item, or `None` when `input` is used up.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Item>, SessionError> {
        loop {
            if let Some((stream, left)) = self.payload {
                if input.is_empty() {
                    return Ok(None);
                }
                let length = left.min(input.len());
                self.payload = (length < left).then_some((stream, left - length));
                return Ok(Some(Item::Data { stream, length }));
            }
            let Some(header) = self.header(input)? else {
                return Ok(None);
            };
            let stream = header.stream;
            let item = match header.command {
                Command::Syn => Item::Syn(stream),
                Command::Fin => Item::Fin(stream),
                Command::Nop => Item::Nop,
                Command::Psh => {
                    self.have = 0;
                    let length = usize::from(header.length);
                    self.payload = (length > 0).then_some((stream, length));
                    continue;
                }
                Command::Upd => {
                    if !self.fill(input, HEADER_LEN + UPDATE_LEN) {
                        return Ok(None);
                    }
                    let (_, mut update) = self.partial.split_at(HEADER_LEN);
                    Item::Update {
                        stream,
                        consumed: update.get_u32_le(),
                        window: update.get_u32_le(),
                    }
                }
            };
            self.have = 0;
            return Ok(Some(item));
        }
    }

    fn header(&mut self, input: &mut BytesMut) -> Result<Option<Header>, SessionError> {
        let whole = self.fill(input, HEADER_LEN);
        if self.have > 0 {
            // At the first byte, so that a wrong peer need not send eight.
            check_version(self.partial[0], self.version)?;
        }
        if !whole {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_LEN];
        bytes.copy_from_slice(&self.partial[..HEADER_LEN]);
        Header::decode(bytes, self.version).map(Some)
    }

    /// Takes bytes until there are `want` of them.
    fn fill(&mut self, input: &mut BytesMut, want: usize) -> bool {
        let missing = want.saturating_sub(self.have).min(input.len());
        if missing > 0 {
            self.partial[self.have..self.have + missing].copy_from_slice(&input[..missing]);
            input.advance(missing);
            self.have += missing;
        }
        self.have >= want
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every frame of version 2 once, with the data split off into `data`.
    const BYTES: &str = "0200000003000000\
         020205000300000068656c6c6f\
         0202000003000000\
         02040800030000000200000000000100\
         0203000000000000\
         0201000003000000";

    fn parse(cuts: &[usize]) -> (Vec<Item>, Vec<u8>) {
        let bytes = hex::decode(BYTES).unwrap();
        let mut parser = Parser::new(Version::V2);
        let (mut items, mut data) = (Vec::new(), Vec::new());
        let mut from = 0;
        for to in cuts.iter().copied().chain([bytes.len()]) {
            let mut input = BytesMut::from(&bytes[from..to]);
            from = to;
            while let Some(item) = parser.next(&mut input).unwrap() {
                if let Item::Data { length, .. } = item {
                    data.extend_from_slice(&input.split_to(length));
                } else {
                    items.push(item);
                }
            }
            assert!(input.is_empty());
        }
        (items, data)
    }

    #[test]
    fn every_split_in_three_gives_the_same_frames() {
        let stream = StreamId(3);
        let whole = parse(&[]);
        assert_eq!(
            whole.0,
            [
                Item::Syn(stream),
                Item::Update {
                    stream,
                    consumed: 2,
                    window: 65536
                },
                Item::Nop,
                Item::Fin(stream)
            ]
        );
        assert_eq!(whole.1, b"hello");
        let length = BYTES.len() / 2;
        for first in 0..length {
            for second in first..length {
                assert_eq!(parse(&[first, second]), whole, "{first} {second}");
            }
        }
    }

    #[test]
    fn a_wrong_version_is_seen_at_its_first_byte() {
        let mut parser = Parser::new(Version::V2);
        let mut input = BytesMut::from(&b"\x01"[..]);
        assert_eq!(
            parser.next(&mut input),
            Err(SessionError::Version {
                expected: 2,
                got: 1
            })
        );
    }

    #[test]
    fn payload_is_handed_on_before_the_frame_is_whole() {
        let mut parser = Parser::new(Version::V1);
        let stream = StreamId(3);
        let mut input = BytesMut::from(&b"\x01\x02\xff\xff\x03\x00\x00\x00abc"[..]);
        assert_eq!(
            parser.next(&mut input),
            Ok(Some(Item::Data { stream, length: 3 }))
        );
        input.advance(3);
        assert_eq!(parser.next(&mut input), Ok(None));
        input.extend_from_slice(&vec![7; 70_000]);
        let length = 65_532;
        assert_eq!(
            parser.next(&mut input),
            Ok(Some(Item::Data { stream, length }))
        );
    }
}
