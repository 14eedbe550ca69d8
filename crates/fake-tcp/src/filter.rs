//! Programs for the packet filter of the system (classic BPF).

use std::net::IpAddr;

use libc::{
    BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JEQ, BPF_JGT, BPF_JMP,
    BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_LEN, BPF_MISC, BPF_MSH, BPF_RET, BPF_RSH, BPF_TAX, BPF_W,
    BPF_X,
};
use socket2::SockFilter;

use crate::segment::{FIN, RST, SYN};

/// What a condition leads to.
#[derive(Clone, Copy)]
enum Go {
    On,
    Take,
    Drop,
}

/// A program under construction. It ends with two instructions: one takes, the other drops.
struct Program(Vec<(u32, Go, Go, u32)>);

impl Program {
    fn then(mut self, code: u32, k: u32) -> Self {
        self.0.push((code, Go::On, Go::On, k));
        self
    }

    fn when(mut self, code: u32, k: u32, yes: Go, no: Go) -> Self {
        self.0.push((BPF_JMP | code, yes, no, k));
        self
    }

    /// Loads how long header and addition are, into the index.
    fn header(self) -> Self {
        // The upper half of the byte counts words of four bytes.
        self.then(BPF_LD | BPF_B | BPF_IND, 12)
            .then(BPF_ALU | BPF_RSH | BPF_K, 2)
            .then(BPF_ALU | BPF_AND | BPF_K, 0x3c)
            .then(BPF_ALU | BPF_ADD | BPF_X, 0)
            .then(BPF_MISC | BPF_TAX, 0)
    }

    fn finish(self) -> Vec<SockFilter> {
        let len = self.0.len();
        let instructions = self
            .0
            .into_iter()
            .enumerate()
            .map(|(at, (code, yes, no, k))| {
                let jump = |go| match go {
                    Go::On => 0,
                    Go::Take => (len - at - 1) as u8,
                    Go::Drop => (len - at) as u8,
                };
                SockFilter::new(code as u16, jump(yes), jump(no), k)
            });
        let ends = [u32::MAX, 0].map(|k| SockFilter::new((BPF_RET | BPF_K) as u16, 0, 0, k));
        instructions.chain(ends).collect()
    }
}

/// For a raw socket: segments to and from these ports that have data, or that begin or end a
/// connection. Raw sockets of IPv4 see the header of IP as well.
pub(crate) fn segments(family: IpAddr, to: Option<u16>, from: Option<u16>) -> Vec<SockFilter> {
    let mut program = Program(Vec::new());
    program = if family.is_ipv4() {
        program.then(BPF_LDX | BPF_B | BPF_MSH, 0)
    } else {
        program.then(BPF_LDX | BPF_W | BPF_IMM, 0)
    };
    for (at, port) in [(0, from), (2, to)] {
        if let Some(port) = port {
            program = program.then(BPF_LD | BPF_H | BPF_IND, at).when(
                BPF_JEQ,
                port.into(),
                Go::On,
                Go::Drop,
            );
        }
    }
    program
        .then(BPF_LD | BPF_B | BPF_IND, 13)
        .when(BPF_JSET, (SYN | RST | FIN).into(), Go::Take, Go::On)
        .header()
        .then(BPF_LD | BPF_W | BPF_LEN, 0)
        .when(BPF_JGT | BPF_X, 0, Go::Take, Go::Drop)
        .finish()
}

/// For the socket of a TCP connection: segments without data.
pub(crate) fn no_data() -> Vec<SockFilter> {
    Program(Vec::new())
        .then(BPF_LDX | BPF_W | BPF_IMM, 0)
        .header()
        .then(BPF_LD | BPF_W | BPF_LEN, 0)
        .when(BPF_JGT | BPF_X, 0, Go::Drop, Go::Take)
        .finish()
}

/// For a socket that only sends.
pub(crate) fn nothing() -> Vec<SockFilter> {
    Program(Vec::new())
        .then(BPF_LD | BPF_W | BPF_ABS, 0)
        .when(BPF_JEQ, 0, Go::Drop, Go::Drop)
        .finish()
}
