//! Vectors: the empty key text, and a packet of 37 bytes.

use super::*;

const VECTORS: [(&str, &str); 12] = [
    (
        "aes",
        "06109a684c0510b38efa5ecbc9ff9cdfc480cce2bd76223a56c5a933df734579fc49a2d8a3",
    ),
    (
        "aes-192",
        "75be6fca67a70cc4851b01f433f738a6138f80b07e2be407ec0e4e012777c81d60e12ebab8",
    ),
    (
        "aes-128",
        "bc7bda97ef1a699800918b941a2f20f102ed011f50789e0c4e66174da2409bb59b453c8e73",
    ),
    (
        "sm4",
        "95b8b8167371fcffcb275aacf82dce63ceb54b6f247c6db27f14c45d171885dc6b63be8db2",
    ),
    (
        "twofish",
        "3887d3bba85da8687f8ac5782bf6502b07b1aa2dbe6662658e058729724bdade59493979ca",
    ),
    (
        "blowfish",
        "307eda16a5d8c8ac3f2f13dc4dc04853d1c632652a6acadd6a702ea71a825fe491ef20698b",
    ),
    (
        "cast5",
        "c09b6a4dbc3d87fff16b0aa8c74af609037e045c6c75717bbf85527cd5397e8376e568f68f",
    ),
    (
        "3des",
        "4ed2c4d1d0e504c813b394e5c8301b3b4161f2b9f57ec7927e862cb2b3fe5aa66d012cfdf9",
    ),
    (
        "tea",
        "f03a97e43ea22ba95688ac74ad6e54f87bd2afe2288c7ee5aaf8f469b2c41075c6285d993f",
    ),
    (
        "xtea",
        "222e7aafe0f6ca60fefd2e0b7e4100b22e5867d7162e0e4b26f4e76a262489ebe13a3fc635",
    ),
    (
        "xor",
        "513d53e28cf98989a3344a0dcb3a5a6c16cedcca081c2405b510cab0bfb927eca6e36facc0",
    ),
    (
        "salsa20",
        "0001020304050607aeb3a1894a955fdd6981670d1cc9853c40197998dc41426c8178dd4d00",
    ),
];

fn plain() -> Vec<u8> {
    (0..32).chain([0xaa, 0xbb, 0xcc, 0xdd, 0xee]).collect()
}

fn cipher(name: &str) -> Cipher {
    Cipher::new(name.parse().unwrap(), &Key::derive(""))
}

#[test]
fn keys_are_derived_as_kcptun_does() {
    for (text, key) in [
        (
            "",
            "b23383c32eefa3753ab6db6e639a0ddc3b50ec6b6c623c9171a15ba0879945cd",
        ),
        (
            "it's a secrect",
            "25d7d7bd51050742d8d791f2b653c6c8b2366b7e25a124cf7a2e12eaf4ffa444",
        ),
        (
            "gost",
            "eb1337a96fcd6518c7d31eb6a8019237decb392f165f09b5a185804783c28f16",
        ),
    ] {
        assert_eq!(hex::encode(Key::derive(text).bytes()), key, "{text:?}");
    }
}

#[test]
fn every_cipher_gives_the_bytes_of_kcp_go_and_takes_them_back() {
    for (name, expected) in VECTORS {
        let mut packet = plain();
        cipher(name).encrypt(&mut packet);
        assert_eq!(hex::encode(&packet), expected, "{name}");
        cipher(name).decrypt(&mut packet);
        assert_eq!(packet, plain(), "{name}");
    }
}

#[test]
fn names() {
    assert_eq!("".parse(), Ok(CipherKind::Aes256));
    assert_eq!("AES".parse::<CipherKind>(), Err(UnknownCipher));
    let mut packet = plain();
    cipher("none").encrypt(&mut packet);
    assert_eq!(packet, plain());
}

#[test]
fn many_packets_at_once_are_many_packets_one_by_one() {
    for (name, _) in VECTORS {
        let cipher = cipher(name);
        let lengths = [0, 1, 15, 16, 17, 255, 256, 257, 1499, 1500];
        let mut packets: Vec<Vec<u8>> = lengths
            .iter()
            .cycle()
            .take(37)
            .enumerate()
            .map(|(i, length)| (0..*length).map(|j| (i * 7 + j * 13) as u8).collect())
            .collect();
        let plain = packets.clone();
        let mut single = packets.clone();
        for packet in &mut single {
            cipher.encrypt(packet);
        }
        let mut slices: Vec<&mut [u8]> = packets.iter_mut().map(|p| &mut p[..]).collect();
        cipher.encrypt_all(&mut slices);
        assert_eq!(packets, single, "{name}");
        for packet in &mut packets {
            cipher.decrypt(packet);
        }
        assert_eq!(packets, plain, "{name}");
    }
}
