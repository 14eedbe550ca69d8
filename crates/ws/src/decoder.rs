//! Takes the frames out of what was read. Source: RFC 6455, sections 5.2 to 5.5.

use thiserror::Error;

use crate::{
    Close, Mask, Opcode, Role,
    frame::{FIN, LENGTH_16, LENGTH_64, MASKED, MAX_CONTROL, MAX_HEADER},
};

/// A peer that does not follow the protocol. The texts are those that close frames carry.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Violation {
    /// A client did not mask, or a server did.
    #[error("bad MASK")]
    Mask,
    /// A reserved bit, 1 to 3, means nothing that was agreed on.
    #[error("RSV{0} set")]
    Reserved(u8),
    /// An opcode that means nothing.
    #[error("bad opcode {0}")]
    Opcode(u8),
    /// More of a message, but none was begun.
    #[error("continuation after FIN")]
    Continuation,
    /// A new message before the one that was begun has ended.
    #[error("data before FIN")]
    Interrupted,
    /// A control frame that is fragmented.
    #[error("FIN not set on control")]
    FragmentedControl,
    /// A control frame with more payload than one may have.
    #[error("len > 125 for control")]
    LongControl,
    /// A length of 2^63 or more.
    #[error("bad length")]
    Length,
    /// A close frame with half a code.
    #[error("bad close payload")]
    ShortClose,
    /// A close frame with a code that may not be sent.
    #[error("bad close code {0}")]
    CloseCode(u16),
    /// A close frame with a reason that is not UTF-8.
    #[error("invalid utf8 payload in close frame")]
    CloseReason,
}

impl Violation {
    /// What a close frame says about it.
    pub fn close(self) -> Close {
        let code = match self {
            Self::CloseReason => Close::NOT_UTF8,
            _ => Close::PROTOCOL,
        };
        Close::new(code, self.to_string())
    }
}

/// After which nothing more is taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer has closed.
    Closed(Close),
    /// The peer has broken the rules.
    Violated(Violation),
}

/// Takes frames out of buffers in place.
///
/// What it holds is the header or control frame that was cut, never a message: a frame of any
/// length passes through. Text passes like binary data.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    header: [u8; MAX_HEADER],
    /// Bytes of the header that have come.
    have: u8,
    /// The frame whose header is complete.
    opcode: Opcode,
    mask: Mask,
    /// Bytes of its payload that are still to come.
    left: u64,
    stage: Stage,
    /// A message was begun and has not ended.
    in_message: bool,
    /// The payload of a control frame, as far as it has come.
    control: Vec<u8>,
    ping: Option<Vec<u8>>,
    pong: bool,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Payload,
}

impl Decoder {
    /// A decoder for what `role` receives.
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            header: [0; MAX_HEADER],
            have: 0,
            opcode: Opcode::Binary,
            mask: Mask::new([0; 4]),
            left: 0,
            stage: Stage::Header,
            in_message: false,
            control: Vec::new(),
            ping: None,
            pong: false,
            end: None,
        }
    }

    /// Takes in what was read: moves the payload to the front of `bytes` and returns its length.
    ///
    /// After the [end](Self::end) everything is ignored.
    pub fn decode(&mut self, bytes: &mut [u8]) -> usize {
        let (mut from, mut to) = (0, 0);
        while self.end.is_none() && from < bytes.len() {
            match self.stage {
                Stage::Header => from += self.take_header(&bytes[from..]),
                Stage::Payload => {
                    let rest = bytes.len() - from;
                    let length = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                    if self.opcode.is_control() {
                        self.take_control(&bytes[from..from + length]);
                    } else {
                        self.take_data(bytes, from, to, length);
                        to += length;
                    }
                    from += length;
                    self.left -= length as u64;
                    if self.left == 0 {
                        self.finish();
                    }
                }
            }
        }
        to
    }

    /// The payload of the last ping since this was asked before; it is to be answered.
    pub fn take_ping(&mut self) -> Option<Vec<u8>> {
        self.ping.take()
    }

    /// True when a pong has come since this was asked before.
    pub fn take_pong(&mut self) -> bool {
        std::mem::take(&mut self.pong)
    }

    /// How it ended, once it has.
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// True between frames: a connection that ends here has not lost part of one.
    pub const fn is_between_frames(&self) -> bool {
        matches!(self.stage, Stage::Header) && self.have == 0
    }

    /// Takes bytes of a header and returns how many.
    fn take_header(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        loop {
            let have = usize::from(self.have);
            let need = self.header_length();
            if have < need {
                let some = (need - have).min(bytes.len() - taken);
                if some == 0 {
                    return taken;
                }
                self.header[have..have + some].copy_from_slice(&bytes[taken..taken + some]);
                self.have += some as u8;
                taken += some;
                // What is wrong shows in the first two bytes, or in the length.
                if have < 2
                    && self.have >= 2
                    && let Err(violation) = self.check()
                {
                    self.end = Some(End::Violated(violation));
                    return taken;
                }
                continue;
            }
            self.begin(need);
            return taken;
        }
    }

    /// The length of the header, as far as it is known from what has come.
    const fn header_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let length = match self.header[1] & !MASKED {
            LENGTH_16 => 2,
            LENGTH_64 => 8,
            _ => 0,
        };
        let key = if self.header[1] & MASKED == 0 { 0 } else { 4 };
        2 + length + key
    }

    fn check(&mut self) -> Result<(), Violation> {
        let [first, second, ..] = self.header;
        for (number, bit) in [(1, 0x40), (2, 0x20), (3, 0x10)] {
            if first & bit != 0 {
                return Err(Violation::Reserved(number));
            }
        }
        let bits = first & 0x0f;
        let opcode = Opcode::from_bits(bits).ok_or(Violation::Opcode(bits))?;
        if opcode.is_control() {
            if first & FIN == 0 {
                return Err(Violation::FragmentedControl);
            }
            if usize::from(second & !MASKED) > MAX_CONTROL {
                return Err(Violation::LongControl);
            }
        } else if self.in_message != (opcode == Opcode::Continuation) {
            return Err(if self.in_message {
                Violation::Interrupted
            } else {
                Violation::Continuation
            });
        }
        if (second & MASKED != 0) != (self.role == Role::Server) {
            return Err(Violation::Mask);
        }
        self.opcode = opcode;
        Ok(())
    }

    /// Begins the frame whose header of `length` bytes is complete.
    fn begin(&mut self, length: usize) {
        let short = self.header[1] & !MASKED;
        let [_, _, b2, b3, b4, b5, b6, b7, b8, b9, ..] = self.header;
        self.left = match short {
            LENGTH_16 => u16::from_be_bytes([b2, b3]).into(),
            LENGTH_64 => u64::from_be_bytes([b2, b3, b4, b5, b6, b7, b8, b9]),
            short => short.into(),
        };
        if self.left >> 63 != 0 {
            self.end = Some(End::Violated(Violation::Length));
            return;
        }
        let mut key = [0; 4];
        if self.role == Role::Server {
            key.copy_from_slice(&self.header[length - 4..length]);
        }
        self.mask = Mask::new(key);
        if !self.opcode.is_control() {
            self.in_message = self.header[0] & FIN == 0;
        }
        self.have = 0;
        self.stage = Stage::Payload;
        if self.left == 0 {
            self.finish();
        }
    }

    fn take_data(&mut self, bytes: &mut [u8], from: usize, to: usize, length: usize) {
        match self.role {
            Role::Server => self.mask.move_down(bytes, from, to, length),
            Role::Client if from == to => {}
            Role::Client => bytes.copy_within(from..from + length, to),
        }
    }

    fn take_control(&mut self, bytes: &[u8]) {
        let start = self.control.len();
        self.control.extend_from_slice(bytes);
        if self.role == Role::Server {
            self.mask.apply(&mut self.control[start..]);
        }
    }

    /// Ends the frame.
    fn finish(&mut self) {
        self.stage = Stage::Header;
        match self.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
            // An empty vector has no memory.
            Opcode::Ping => self.ping = Some(std::mem::take(&mut self.control)),
            Opcode::Pong => {
                self.pong = true;
                self.control = Vec::new();
            }
            Opcode::Close => {
                let payload = std::mem::take(&mut self.control);
                self.end = Some(match Close::parse(&payload) {
                    Ok(close) => End::Closed(close),
                    Err(violation) => End::Violated(violation),
                });
            }
        }
    }
}
