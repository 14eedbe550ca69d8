//! The ciphers of kcp-go: what it calls `BlockCrypt`.
//!
//! Block ciphers run in CFB with whole blocks and the same initial block for every packet; what
//! makes packets differ is the random number at their start. Source: `crypt.go` of kcp-go.

use std::{fmt, str::FromStr};

use cipher::{
    Block, BlockDecrypt, BlockEncrypt, BlockSizeUser, KeyInit, KeyIvInit, StreamCipher,
    generic_array::typenum::Unsigned,
};

mod tea;

use tea::{Tea, Xtea};

/// The longest packet that a cipher takes.
pub const LONGEST: usize = 1500;

const INITIAL: [u8; 16] = [
    167, 115, 79, 156, 18, 172, 27, 1, 164, 21, 242, 193, 252, 120, 230, 107,
];

/// Which cipher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CipherKind {
    /// AES with 256 bits of key.
    #[default]
    Aes256,
    /// AES with 192 bits of key.
    Aes192,
    /// AES with 128 bits of key.
    Aes128,
    /// SM4.
    Sm4,
    /// Twofish with 256 bits of key.
    Twofish,
    /// Blowfish with 256 bits of key.
    Blowfish,
    /// CAST-128.
    Cast5,
    /// Triple DES with three keys.
    TripleDes,
    /// TEA with 8 cycles.
    Tea,
    /// XTEA with 32 cycles.
    Xtea,
    /// Salsa20.
    Salsa20,
    /// A table that is the same for each packet: hides, but does not protect.
    Xor,
    /// None.
    None,
}

impl FromStr for CipherKind {
    type Err = UnknownCipher;

    /// Reads a name as kcptun and the original have it.
    fn from_str(name: &str) -> Result<Self, UnknownCipher> {
        Ok(match name {
            "aes" | "" => Self::Aes256,
            "aes-192" => Self::Aes192,
            "aes-128" => Self::Aes128,
            "sm4" => Self::Sm4,
            "twofish" => Self::Twofish,
            "blowfish" => Self::Blowfish,
            "cast5" => Self::Cast5,
            "3des" => Self::TripleDes,
            "tea" => Self::Tea,
            "xtea" => Self::Xtea,
            "salsa20" => Self::Salsa20,
            "xor" => Self::Xor,
            "none" => Self::None,
            _ => return Err(UnknownCipher),
        })
    }
}

/// A name that is no cipher's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not one of aes, aes-128, aes-192, sm4, twofish, blowfish, cast5, 3des, tea, xtea, salsa20, \
     xor, none"
)]
pub struct UnknownCipher;

/// The key of all ciphers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// Derives the key from what the user typed, which takes some milliseconds. Source: `main.go`
    /// of kcptun.
    pub fn derive(text: &str) -> Self {
        Self(pbkdf2::pbkdf2_hmac_array::<sha1::Sha1, 32>(
            text.as_bytes(),
            b"kcp-go",
            4096,
        ))
    }

    /// The bytes of the key.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// A cipher with its key. What it needs besides is in here once, so sessions should share it.
pub struct Cipher(Kind);

enum Kind {
    Aes256(Cfb<aes::Aes256>),
    Aes192(Cfb<aes::Aes192>),
    Aes128(Cfb<aes::Aes128>),
    Sm4(Cfb<sm4::Sm4>),
    Twofish(Box<Cfb<twofish::Twofish>>),
    Blowfish(Box<Cfb<blowfish::Blowfish>>),
    Cast5(Cfb<cast5::Cast5>),
    TripleDes(Cfb<des::TdesEde3>),
    Tea(Tea),
    Xtea(Xtea),
    Salsa20([u8; 32]),
    Xor(Box<[u8; LONGEST]>),
    None,
}

impl Cipher {
    /// A cipher under a key.
    pub fn new(kind: CipherKind, key: &Key) -> Self {
        let key = key.bytes();
        let (key24, key16) = (&key[..24], &key[..16]);
        Self(match kind {
            CipherKind::Aes256 => Kind::Aes256(Cfb::new(key)),
            CipherKind::Aes192 => Kind::Aes192(Cfb::new(key24)),
            CipherKind::Aes128 => Kind::Aes128(Cfb::new(key16)),
            CipherKind::Sm4 => Kind::Sm4(Cfb::new(key16)),
            CipherKind::Twofish => Kind::Twofish(Box::new(Cfb::new(key))),
            CipherKind::Blowfish => Kind::Blowfish(Box::new(Cfb::new(key))),
            CipherKind::Cast5 => Kind::Cast5(Cfb::new(key16)),
            CipherKind::TripleDes => Kind::TripleDes(Cfb::new(key24)),
            CipherKind::Tea => Kind::Tea(Tea::new(key)),
            CipherKind::Xtea => Kind::Xtea(Xtea::new(key)),
            CipherKind::Salsa20 => Kind::Salsa20(*key),
            CipherKind::Xor => {
                let mut table = Box::new([0; LONGEST]);
                pbkdf2::pbkdf2_hmac::<sha1::Sha1>(key, b"sH3CIVoF#rWLtJo6", 32, &mut table[..]);
                Kind::Xor(table)
            }
            CipherKind::None => Kind::None,
        })
    }

    /// Encrypts a packet of at most [`LONGEST`] bytes; beyond that nothing is promised.
    pub fn encrypt(&self, packet: &mut [u8]) {
        match &self.0 {
            Kind::Aes256(cipher) => cipher.encrypt(packet),
            Kind::Aes192(cipher) => cipher.encrypt(packet),
            Kind::Aes128(cipher) => cipher.encrypt(packet),
            Kind::Sm4(cipher) => cipher.encrypt(packet),
            Kind::Twofish(cipher) => cipher.encrypt(packet),
            Kind::Blowfish(cipher) => cipher.encrypt(packet),
            Kind::Cast5(cipher) => cipher.encrypt(packet),
            Kind::TripleDes(cipher) => cipher.encrypt(packet),
            Kind::Tea(cipher) => cfb8_encrypt(packet, |block| cipher.encrypt(block)),
            Kind::Xtea(cipher) => cfb8_encrypt(packet, |block| cipher.encrypt(block)),
            Kind::Salsa20(key) => salsa20(key, packet),
            Kind::Xor(table) => xor(packet, &table[..]),
            Kind::None => {}
        }
    }

    /// Decrypts a packet of at most [`LONGEST`] bytes; beyond that nothing is promised.
    pub fn decrypt(&self, packet: &mut [u8]) {
        match &self.0 {
            Kind::Aes256(cipher) => cipher.decrypt(packet),
            Kind::Aes192(cipher) => cipher.decrypt(packet),
            Kind::Aes128(cipher) => cipher.decrypt(packet),
            Kind::Sm4(cipher) => cipher.decrypt(packet),
            Kind::Twofish(cipher) => cipher.decrypt(packet),
            Kind::Blowfish(cipher) => cipher.decrypt(packet),
            Kind::Cast5(cipher) => cipher.decrypt(packet),
            Kind::TripleDes(cipher) => cipher.decrypt(packet),
            Kind::Tea(cipher) => cfb8_decrypt(packet, |block| cipher.encrypt(block)),
            Kind::Xtea(cipher) => cfb8_decrypt(packet, |block| cipher.encrypt(block)),
            Kind::Salsa20(key) => salsa20(key, packet),
            Kind::Xor(table) => xor(packet, &table[..]),
            Kind::None => {}
        }
    }

    /// Encrypts several packets. A block of CFB needs the one before, so a single packet leaves a
    /// processor with AES instructions idle most of the time; several at once do not.
    pub fn encrypt_all(&self, packets: &mut [&mut [u8]]) {
        match &self.0 {
            Kind::Aes256(cipher) => cipher.encrypt_all(packets),
            Kind::Aes192(cipher) => cipher.encrypt_all(packets),
            Kind::Aes128(cipher) => cipher.encrypt_all(packets),
            _ => packets.iter_mut().for_each(|packet| self.encrypt(packet)),
        }
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

fn xor(to: &mut [u8], with: &[u8]) {
    for (to, with) in to.iter_mut().zip(with) {
        *to ^= with;
    }
}

/// The first 8 bytes are the nonce and stay as they are.
fn salsa20(key: &[u8; 32], packet: &mut [u8]) {
    if let Some((nonce, rest)) = packet.split_first_chunk_mut::<8>() {
        salsa20::Salsa20::new(&(*key).into(), &(*nonce).into()).apply_keystream(rest);
    }
}

/// A block cipher in CFB.
struct Cfb<C: BlockSizeUser> {
    cipher: C,
    /// The encrypted initial block: what each first block is combined with.
    first: Block<C>,
}

/// So many blocks are worked on at once.
const WIDE: usize = 16;

impl<C: BlockEncrypt + BlockDecrypt + KeyInit> Cfb<C> {
    /// The key must have a length that the cipher takes.
    fn new(key: &[u8]) -> Self {
        // All callers are above, and all lengths those of the table there.
        let Ok(cipher) = C::new_from_slice(key) else {
            unreachable!("a key of the wrong length")
        };
        let mut first = Block::<C>::clone_from_slice(&INITIAL[..C::BlockSize::USIZE]);
        cipher.encrypt_block(&mut first);
        Self { cipher, first }
    }

    fn encrypt(&self, packet: &mut [u8]) {
        let mut stream = self.first.clone();
        for chunk in packet.chunks_mut(C::BlockSize::USIZE) {
            xor(chunk, &stream);
            if chunk.len() == C::BlockSize::USIZE {
                stream.copy_from_slice(chunk);
                self.cipher.encrypt_block(&mut stream);
            }
        }
    }

    fn encrypt_all(&self, packets: &mut [&mut [u8]]) {
        let size = C::BlockSize::USIZE;
        for group in packets.chunks_mut(WIDE) {
            let mut streams: [Block<C>; WIDE] = std::array::from_fn(|_| self.first.clone());
            let streams = &mut streams[..group.len()];
            let longest = group.iter().map(|packet| packet.len()).max().unwrap_or(0);
            for start in (0..longest).step_by(size) {
                for (packet, stream) in group.iter_mut().zip(&mut *streams) {
                    let end = (start + size).min(packet.len());
                    let Some(chunk) = packet.get_mut(start..end) else {
                        continue;
                    };
                    xor(chunk, stream);
                    stream[..chunk.len()].copy_from_slice(chunk);
                }
                self.cipher.encrypt_blocks(streams);
            }
        }
    }

    fn decrypt(&self, packet: &mut [u8]) {
        let size = C::BlockSize::USIZE;
        let mut first = self.first.clone();
        let mut streams: [Block<C>; WIDE] = Default::default();
        for part in packet.chunks_mut(size * WIDE) {
            let whole = part.len() / size;
            for (stream, chunk) in streams.iter_mut().zip(part.chunks_exact(size)) {
                stream.copy_from_slice(chunk);
            }
            self.cipher.encrypt_blocks(&mut streams[..whole]);
            let mut chunks = part.chunks_mut(size);
            if let Some(chunk) = chunks.next() {
                xor(chunk, &first);
            }
            for (chunk, stream) in chunks.zip(&streams) {
                xor(chunk, stream);
            }
            if whole == WIDE {
                first.clone_from(&streams[WIDE - 1]);
            }
        }
    }
}

fn cfb8_encrypt(packet: &mut [u8], encrypt: impl Fn([u8; 8]) -> [u8; 8]) {
    let mut stream = encrypt(initial8());
    for chunk in packet.chunks_mut(8) {
        xor(chunk, &stream);
        if let Ok(block) = <[u8; 8]>::try_from(&*chunk) {
            stream = encrypt(block);
        }
    }
}

fn cfb8_decrypt(packet: &mut [u8], encrypt: impl Fn([u8; 8]) -> [u8; 8]) {
    let mut stream = encrypt(initial8());
    for chunk in packet.chunks_mut(8) {
        let block = <[u8; 8]>::try_from(&*chunk);
        xor(chunk, &stream);
        if let Ok(block) = block {
            stream = encrypt(block);
        }
    }
}

fn initial8() -> [u8; 8] {
    std::array::from_fn(|i| INITIAL[i])
}

#[cfg(test)]
mod tests;
