//! The snappy framing format over a byte stream: chunks with a checksum each.
//!
//! Source: `framing_format.txt` of google/snappy; what is sent is what `golang/snappy` sends when
//! it is flushed after each write.

use std::fmt;

use snap::raw;

/// The first chunk of a stream.
const IDENTIFIER: &[u8; 10] = b"\xff\x06\0\0sNaPpY";

/// The most that a chunk holds, uncompressed.
pub const CHUNK: usize = 65536;

/// The most that a chunk of data takes, with checksum and without header: an incompressible block
/// grows when it is compressed all the same.
const LONGEST: usize = 4 + 32 + CHUNK + CHUNK / 6;

/// What is wrong with a compressed stream. It can't be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnappyError {
    /// The stream does not begin as one does: the other end does not compress.
    #[error("not a snappy stream: is nocomp the same at both ends?")]
    Identifier,
    /// A chunk of a kind that must not be skipped, or one of an impossible length.
    #[error("invalid snappy chunk of kind {0}")]
    Chunk(u8),
    /// What a chunk holds is not what its checksum says.
    #[error("damaged snappy chunk")]
    Damaged,
}

/// Compresses. Streams may share one: it keeps nothing between two calls.
pub struct Compressor(raw::Encoder);

impl Compressor {
    /// A compressor.
    pub fn new() -> Self {
        Self(raw::Encoder::new())
    }

    /// What a stream begins with.
    pub const fn start() -> &'static [u8] {
        IDENTIFIER
    }

    /// Appends data to a stream, as chunks.
    pub fn compress(&mut self, data: &[u8], stream: &mut Vec<u8>) {
        for data in data.chunks(CHUNK) {
            let at = stream.len();
            let room = raw::max_compress_len(data.len());
            stream.resize(at + 8 + room, 0);
            let compressed = self.0.compress(data, &mut stream[at + 8..]);
            // As golang/snappy does: what saves less than an eighth is not worth it.
            let (kind, length) = match compressed {
                Ok(length) if length < data.len() - data.len() / 8 => (0, length),
                _ => {
                    stream[at + 8..at + 8 + data.len()].copy_from_slice(data);
                    (1, data.len())
                }
            };
            stream.truncate(at + 8 + length);
            // At most 24 bits: see CHUNK.
            let [a, b, c, _] = ((length + 4) as u32).to_le_bytes();
            stream[at..at + 4].copy_from_slice(&[kind, a, b, c]);
            stream[at + 4..at + 8].copy_from_slice(&checksum(data).to_le_bytes());
        }
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compressor")
    }
}

fn checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Takes a stream apart.
#[derive(Debug, Default)]
pub struct Decompressor {
    begun: bool,
    /// What came of a chunk so far, header included.
    part: Vec<u8>,
    /// So much is still to be skipped.
    skip: usize,
}

impl Decompressor {
    /// For the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what came of the stream and appends the data of all whole chunks.
    ///
    /// # Errors
    /// See [`SnappyError`]. What was appended before is good.
    pub fn decompress(&mut self, mut input: &[u8], data: &mut Vec<u8>) -> Result<(), SnappyError> {
        loop {
            let skipped = self.skip.min(input.len());
            self.skip -= skipped;
            input = &input[skipped..];
            if self.skip > 0 || !self.fill(4, &mut input) {
                return Ok(());
            }
            let [kind, a, b, c] = [self.part[0], self.part[1], self.part[2], self.part[3]];
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            match kind {
                0xff if length == 6 => {}
                _ if !self.begun => return Err(SnappyError::Identifier),
                0 | 1 if (4..=LONGEST).contains(&length) => {}
                0x80..=0xfe => {
                    self.skip = length;
                    self.part.clear();
                    continue;
                }
                kind => return Err(SnappyError::Chunk(kind)),
            }
            if !self.fill(4 + length, &mut input) {
                return Ok(());
            }
            self.take(kind, data)?;
            self.part.clear();
            // Seldom as large as this: a stream that rests should not keep it.
            if self.part.capacity() > 4096 && input.is_empty() {
                self.part = Vec::new();
            }
        }
    }

    /// Collects the first `length` bytes of a chunk; true when they are there.
    fn fill(&mut self, length: usize, input: &mut &[u8]) -> bool {
        let missing = length.saturating_sub(self.part.len());
        let (front, rest) = input.split_at(missing.min(input.len()));
        self.part.extend_from_slice(front);
        *input = rest;
        self.part.len() >= length
    }

    /// Takes a whole chunk.
    fn take(&mut self, kind: u8, data: &mut Vec<u8>) -> Result<(), SnappyError> {
        if kind == 0xff {
            self.begun = self.part == IDENTIFIER;
            return self.begun.then_some(()).ok_or(SnappyError::Identifier);
        }
        let body = &self.part[8..];
        let at = data.len();
        if kind == 1 {
            data.extend_from_slice(body);
        } else {
            let length = raw::decompress_len(body).map_err(|_| SnappyError::Damaged)?;
            if length > CHUNK {
                return Err(SnappyError::Damaged);
            }
            data.resize(at + length, 0);
            if raw::Decoder::new()
                .decompress(body, &mut data[at..])
                .is_err()
            {
                data.truncate(at);
                return Err(SnappyError::Damaged);
            }
        }
        let claimed = &self.part[4..8];
        if data.len() - at > CHUNK || checksum(&data[at..]).to_le_bytes() != claimed {
            data.truncate(at);
            return Err(SnappyError::Damaged);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(stream: &[u8], step: usize) -> Result<Vec<u8>, SnappyError> {
        let (mut reader, mut data) = (Decompressor::new(), Vec::new());
        for part in stream.chunks(step) {
            reader.decompress(part, &mut data)?;
        }
        Ok(data)
    }

    #[test]
    fn streams_are_those_of_golang_snappy() {
        let mut stream = Compressor::start().to_vec();
        let mut compressor = Compressor::new();
        compressor.compress(&[1, 0, 0, 0, 3, 0, 0, 0], &mut stream);
        compressor.compress(b"\x01\x02\x05\0\x03\0\0\0hello", &mut stream);
        assert_eq!(
            hex::encode(&stream),
            "ff060000734e61507059010c00004439ac2f0100000003000000\
             0111000028beb005010205000300000068656c6c6f"
        );
    }

    #[test]
    fn what_need_not_be_understood_is_skipped() {
        let mut stream = Compressor::start().to_vec();
        stream.extend(b"\xfe\x03\0\0abc\x80\0\0\0");
        stream.extend(Compressor::start());
        Compressor::new().compress(b"text", &mut stream);
        stream.extend(b"\x99\x01\0\0x");
        for step in 1..stream.len() {
            assert_eq!(read(&stream, step).unwrap(), b"text");
        }
    }

    #[test]
    fn errors() {
        let start = Compressor::start().to_vec();
        let with = |more: &[u8]| read(&[&start, more].concat(), 7);
        assert_eq!(read(b"\x01\x02\0\0\x03", 7), Err(SnappyError::Identifier));
        assert_eq!(read(b"\xff\x06\0\0snappy", 7), Err(SnappyError::Identifier));
        assert_eq!(with(b"\x02\x04\0\0"), Err(SnappyError::Chunk(2)));
        assert_eq!(with(b"\0\x03\0\0"), Err(SnappyError::Chunk(0)));
        assert_eq!(with(b"\0\xff\xff\xff"), Err(SnappyError::Chunk(0)));
        assert_eq!(with(b"\x01\x05\0\0\0\0\0\0x"), Err(SnappyError::Damaged));
        // A block that says it is 4 GiB long.
        assert_eq!(
            with(b"\0\x0a\0\0\0\0\0\0\xff\xff\xff\xff\x0f\0"),
            Err(SnappyError::Damaged)
        );
    }

    proptest! {
        #[test]
        fn data_survives_however_it_is_cut(
            pieces in proptest::collection::vec((any::<u8>(), 0_usize..150_000, any::<bool>()), 0..5),
            step in 1_usize..5000,
        ) {
            let (mut stream, mut all) = (Compressor::start().to_vec(), Vec::new());
            let mut compressor = Compressor::new();
            for (seed, length, random) in pieces {
                let mut rng = fastrand::Rng::with_seed(u64::from(seed));
                let data: Vec<u8> =
                    (0..length).map(|_| if random { rng.u8(..) } else { seed }).collect();
                compressor.compress(&data, &mut stream);
                all.extend(data);
            }
            prop_assert_eq!(read(&stream, step).unwrap(), all);
        }

        #[test]
        fn anything_may_come(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&bytes, 100);
            bytes.splice(0..0, Compressor::start().iter().copied());
            let _ = read(&bytes, 100);
        }
    }
}
