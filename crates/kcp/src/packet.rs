//! The outermost layer of a datagram: a random number and a checksum, all of it encrypted.

use std::sync::Arc;

use cipher::{BlockEncrypt, KeyInit};

use crate::crypt::{Cipher, LONGEST};

/// The length of random number and checksum.
pub const HEADER: usize = 20;

const NONCE: usize = 16;

/// Random numbers for packets: AES-128 over a counter, as unpredictable as its seed.
pub struct Nonces {
    cipher: aes::Aes128,
    counter: u128,
}

impl Nonces {
    /// Numbers from a seed, which must itself be random and secret.
    pub fn new(seed: [u8; 32]) -> Self {
        let (key, counter) = seed.split_at(16);
        let mut start = [0; 16];
        start.copy_from_slice(counter);
        Self {
            cipher: aes::Aes128::new(key.into()),
            counter: u128::from_le_bytes(start),
        }
    }

    fn fill(&mut self, nonce: &mut [u8]) {
        self.counter = self.counter.wrapping_add(1);
        let mut block = self.counter.to_le_bytes().into();
        self.cipher.encrypt_block(&mut block);
        nonce.copy_from_slice(&block);
    }
}

/// Closes packets and opens them.
#[derive(Clone, Debug)]
pub struct Envelope(Arc<Cipher>);

impl Envelope {
    /// With a cipher.
    pub const fn new(cipher: Arc<Cipher>) -> Self {
        Self(cipher)
    }

    /// Closes packets, which leave their first [`HEADER`] bytes free and are no longer than
    /// [`LONGEST`].
    ///
    /// # Panics
    /// If one has no room for the header.
    pub fn close(&self, nonces: &mut Nonces, packets: &mut [&mut [u8]]) {
        for packet in &mut *packets {
            let (header, body) = packet.split_at_mut(HEADER);
            nonces.fill(&mut header[..NONCE]);
            header[NONCE..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        }
        self.0.encrypt_all(packets);
    }

    /// Opens a packet and gives what is behind the header; `None` when it was not closed with the
    /// same key, or has no segment in it.
    pub fn open<'a>(&self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        if !(HEADER + crate::segment::HEADER..=LONGEST).contains(&packet.len()) {
            return None;
        }
        self.0.decrypt(packet);
        let (header, body) = packet.split_at(HEADER);
        (header[NONCE..] == crc32fast::hash(body).to_le_bytes()).then_some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypt::{CipherKind, Key};

    fn envelope(text: &str) -> Envelope {
        Envelope::new(Arc::new(Cipher::new(
            CipherKind::Aes256,
            &Key::derive(text),
        )))
    }

    #[test]
    fn the_worked_example_opens() {
        let mut packet = hex::decode(
            "06109a684c0510b38efa5ecbc9ff9cdff7859deaa963342dbfdc8728875d797720f214b8e6588e43\
             ce450fd6fc59921b8443c3ece10427976470d217d2dd6ba9039936ac7ba4b7124 5ca2d50504 1"
                .replace(' ', ""),
        )
        .unwrap();
        let body = envelope("").open(&mut packet).unwrap();
        assert_eq!(
            hex::encode(body),
            "00000000f1003400443322115100200000000000000000000000000 01a000000ff060000734e6150\
             7059010c00004439ac2f0100000003000000"
                .replace(' ', "")
        );
    }

    #[test]
    fn only_what_was_closed_with_the_key_opens() {
        let mut nonces = Nonces::new([7; 32]);
        let mut packet = vec![3; 100];
        let mut other = packet.clone();
        let envelope = envelope("a");
        envelope.close(&mut nonces, &mut [&mut packet, &mut other]);
        assert_ne!(packet, other);
        assert_eq!(
            self::envelope("b").open(&mut packet.clone()),
            None,
            "wrong key"
        );
        for length in (0..100).chain([1501]) {
            let mut cut = packet.clone();
            cut.resize(length, 0);
            assert_eq!(envelope.open(&mut cut), None, "{length}");
        }
        for bit in 0..800 {
            let mut forged = packet.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(envelope.open(&mut forged), None, "bit {bit}");
        }
        assert_eq!(envelope.open(&mut packet), Some(&[3; 80][..]));
    }
}
