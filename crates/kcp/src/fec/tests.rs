use proptest::prelude::*;
use reed_solomon_erasure::galois_8::ReedSolomon;

use super::*;

/// Packets of data, each with the parity packets that follow it.
fn send(code: &Code, data: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(code.clone());
    let mut sent = Vec::new();
    for data in data {
        let mut packet = vec![0; HEADER];
        packet.extend_from_slice(data);
        encoder.data(&mut packet);
        sent.push(packet);
        let mut room = [0; 1500];
        while let Some(length) = encoder.parity(&mut room) {
            sent.push(room[..length].to_vec());
        }
    }
    sent
}

#[test]
fn parity_rows_are_those_of_klauspost() {
    for (data, parity, rows) in [
        (
            10,
            3,
            "8196afb8d2c4fee80302 9681b8afc4d2e8fe0203 bfd6620a066fdfb70504",
        ),
        (4, 2, "1b1c1214 1c1b1412"),
        (2, 1, "0302"),
        (1, 1, "01"),
    ] {
        let code = Code::new(data, parity).unwrap();
        let found: Vec<_> = (0..parity).map(|p| hex::encode(code.row(p))).collect();
        assert_eq!(found.join(" "), rows);
    }
    assert_eq!(Code::new(10, 3).unwrap().wrap(), 4_294_967_287);
}

#[test]
fn codes_are_those_of_another_implementation() {
    for (data, parity) in [(10, 3), (1, 5), (20, 5), (70, 30), (128, 128), (255, 1)] {
        let code = Code::new(data, parity).unwrap();
        for shard in [0, data / 2, data - 1] {
            let mut shards = vec![vec![0_u8; 1]; data + parity];
            shards[shard][0] = 1;
            let other = ReedSolomon::new(data, parity).unwrap();
            other.encode(&mut shards).unwrap();
            for p in 0..parity {
                assert_eq!(code.row(p)[shard], shards[data + p][0]);
            }
        }
    }
}

#[test]
fn numbers_of_shards_have_bounds() {
    for (data, parity) in [(0, 3), (3, 0), (200, 57), (usize::MAX, 1)] {
        assert_eq!(Code::new(data, parity), None);
    }
}

#[test]
fn the_example_of_two_and_one() {
    let sent = send(
        &Code::new(2, 1).unwrap(),
        &[b"ABCD".to_vec(), b"XY".to_vec()],
    );
    let sent: Vec<_> = sent.iter().map(hex::encode).collect();
    assert_eq!(
        sent,
        [
            "00000000f100060041424344",
            "01000000f10004005859",
            "02000000f20002007374c5cc"
        ]
    );
}

#[test]
fn a_receiver_learns_the_code_of_the_sender() {
    let data: Vec<Vec<u8>> = (0..60_u8).map(|i| vec![i; usize::from(i) + 1]).collect();
    for (ours, theirs) in [
        (None, (4, 2)),
        (Some((10, 3)), (3, 1)),
        (Some((2, 2)), (2, 1)),
    ] {
        let code = Code::new(theirs.0, theirs.1).unwrap();
        let sent = send(&code, &data);
        let ours = ours.and_then(|(d, p)| Code::new(d, p));
        let mut decoder = Decoder::new(ours);
        let learned = code.total() * 3;
        for packet in &sent[..learned] {
            decoder.receive(packet, |_| {});
        }
        assert_eq!(decoder.code(), Some(&code));
        // The first of the next group is lost.
        let mut found = Vec::new();
        for packet in &sent[learned + 1..learned + code.total()] {
            decoder.receive(packet, |data| found.push(data.to_vec()));
        }
        assert_eq!(found, [data[code.data() * 3].clone()]);
    }
}

#[test]
fn a_code_that_only_seems_to_fit_recovers_nothing() {
    let data: Vec<Vec<u8>> = (0..60_u8).map(|i| vec![i; 50]).collect();
    let sent = send(&Code::new(6, 2).unwrap(), &data);
    for lost in [4, 5] {
        let mut decoder = Decoder::new(Code::new(2, 2));
        // Where the other code has data and parity, too.
        for (number, packet) in sent.iter().enumerate() {
            if number % 8 >= 4 && number % 8 != lost {
                decoder.receive(packet, |_| panic!("nothing was lost of this"));
            }
        }
    }
}

#[test]
fn more_parity_than_expected_is_noticed_before_anything_is_recovered() {
    let data: Vec<Vec<u8>> = (0..60_u8).map(|i| vec![i; 50]).collect();
    for (ours, theirs) in [((2, 4), (2, 2)), ((2, 2), (2, 4)), ((2, 1), (2, 3))] {
        let sent = send(&Code::new(theirs.0, theirs.1).unwrap(), &data);
        let ours = Code::new(ours.0, ours.1).unwrap();
        let mut decoder = Decoder::new(Some(ours.clone()));
        // The first group of both is whole. After that comes only what has the kind that is
        // expected of its number, and never a whole group.
        for (number, packet) in sent.iter().enumerate() {
            let shard = number % ours.total();
            let fits = Mark::find(packet).unwrap().parity == (shard >= ours.data());
            if fits && (number < ours.total() || shard >= ours.data()) {
                decoder.receive(packet, |_| panic!("by the wrong code"));
            }
        }
    }
}

#[test]
fn late_and_repeated_packets_change_nothing() {
    let data: Vec<Vec<u8>> = (0..100_u8).map(|i| vec![i; 50]).collect();
    let code = Code::new(4, 2).unwrap();
    let sent = send(&code, &data);
    let mut decoder = Decoder::new(Some(code));
    let mut found = 0;
    for packet in sent.iter().chain(&sent[..20]).chain(&sent[100..]) {
        decoder.receive(packet, |_| found += 1);
        decoder.receive(packet, |_| found += 1);
    }
    assert_eq!(found, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn as_many_as_there_is_parity_for_come_back(
        data in 1_usize..20,
        parity in 1_usize..8,
        groups in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..4),
    ) {
        let code = Code::new(data, parity).unwrap();
        let mut random = fastrand::Rng::with_seed(groups[0].0);
        // Two groups are whole, the second in order, and prove the code.
        let groups = groups.len() + 2;
        let texts: Vec<Vec<u8>> = (0..data * groups)
            .map(|_| (0..random.usize(..1400)).map(|_| random.u8(..)).collect())
            .collect();
        let mut decoder = Decoder::new(Some(code.clone()));
        let sent = send(&code, &texts);
        for (g, group) in sent.chunks(code.total()).enumerate() {
            let mut order: Vec<usize> = (0..code.total()).collect();
            if g != 1 {
                random.shuffle(&mut order);
            }
            let lost = if g < 2 { 0 } else { parity };
            let (lost, came) = order.split_at(lost);
            let mut found = Vec::new();
            for shard in came {
                decoder.receive(&group[*shard], |data| found.push(data.to_vec()));
            }
            let mut expected: Vec<_> =
                lost.iter().filter(|s| **s < data).map(|s| texts[g * data + s].clone()).collect();
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn anything_may_come(packets in proptest::collection::vec(
        (any::<u16>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..1600)), 0..100,
    )) {
        let mut decoder = Decoder::new(Code::new(3, 2));
        for (number, parity, rest) in packets {
            let mark = Mark { number: u32::from(number % 64), parity };
            let mut packet = vec![0; CODED];
            mark.write(&mut packet);
            packet.extend(rest);
            decoder.receive(&packet, |data| assert!(data.len() <= 1500));
        }
    }
}
