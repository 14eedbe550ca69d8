use hickory_proto::{
    op::{MessageType, OpCode},
    rr::rdata::{A, AAAA, CNAME, SOA},
};

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(owner: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(name(owner), ttl, data)
}

fn a(owner: &str, ttl: u32, last: u8) -> Record {
    record(owner, ttl, RData::A(A(Ipv4Addr::new(10, 0, 0, last))))
}

fn alias(owner: &str, ttl: u32, to: &str) -> Record {
    record(owner, ttl, RData::CNAME(CNAME(name(to))))
}

/// An answer to a question for the A records of `t.test.`.
fn answer(records: Vec<Record>) -> Message {
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.add_query(Query::query(name("t.test."), RecordType::A));
    message.add_answers(records);
    message
}

fn found(message: &Message) -> Result<(Vec<String>, u64), DnsError> {
    let found = read(&message.to_vec().unwrap(), Kind::V4)?;
    let addresses = found.addresses.iter().map(IpAddr::to_string).collect();
    Ok((addresses, found.ttl.as_secs()))
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_question_is_a_name_and_a_type() {
    let asked = question("Www.example", Kind::V6, None).unwrap();
    assert_eq!(asked[2..12], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&asked[12..], b"\x03Www\x07example\0\0\x1c\0\x01");
    let again = question("www.example.", Kind::V6, None).unwrap();
    assert!(asked[..2] != again[..2] || question("a", Kind::V4, None).unwrap()[..2] != asked[..2]);
    let idn = question("b\u{fc}cher.example", Kind::V4, None).unwrap();
    assert!(idn.windows(13).any(|at| at == b"xn--bcher-kva"));
    for wrong in ["a..b", &"x".repeat(64), &"x.".repeat(200)] {
        assert!(question(wrong, Kind::V4, None).is_err(), "{wrong}");
    }
}

#[test]
fn a_question_tells_the_subnet_of_the_client() {
    let v4 = question("a", Kind::V4, Some("192.0.2.77".parse().unwrap())).unwrap();
    // The root, OPT, 1232 bytes, no flags, eleven bytes: option 8 with family 1, /24, and 3 bytes.
    let opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\x0b\0\x08\0\x07\0\x01\x18\0\xc0\0\x02";
    assert!(v4.ends_with(opt), "{v4:?}");
    let v6 = question("a", Kind::V4, Some("2001:db8::1".parse().unwrap())).unwrap();
    assert!(v6.windows(4).any(|at| at == [0, 2, 128, 0]) && v6.ends_with(&[0, 1]));
}

#[test]
fn only_what_answers_the_question_is_its_answer() {
    let asked = question("t.test", Kind::V4, None).unwrap();
    let mut good = asked.clone();
    good[2] |= 0x80;
    good[3] = 0x80;
    assert_eq!(check(&good, &asked), Ok(()));
    let with = |at: usize, byte: u8| {
        let mut other = good.clone();
        other[at] = byte;
        check(&other, &asked)
    };
    assert_eq!(with(13, b'T'), Ok(()), "the case does not count");
    assert!(with(0, good[0] ^ 1).is_err() && with(1, good[1] ^ 1).is_err());
    assert!(with(2, 0x01).is_err(), "a question");
    assert!(with(2, 0x91).is_err(), "another opcode");
    assert!(with(13, b'x').is_err() && with(good.len() - 3, 28).is_err());
    assert!(with(5, 2).is_err() && with(5, 0).is_err());
    assert!(check(&good[..11], &asked).is_err() && check(&good[..20], &asked).is_err());
    let mut refusal = good[..12].to_vec();
    (refusal[3], refusal[5]) = (0x85, 0);
    assert_eq!(check(&refusal, &asked), Ok(()));
    assert_eq!(check(&vec![0; MOST + 1], &asked), Err(DnsError::TooLong));
    // Our own question may be one of somebody else's.
    for wrong in [
        &asked[..15],
        &[0; 3],
        b"\0\0\0\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\0\0\0",
    ] {
        let mut answer = wrong.to_vec();
        answer.resize(wrong.len().max(12), 0);
        answer[2] |= 0x80;
        assert!(check(&answer, wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn addresses_are_those_of_the_name_and_its_aliases() {
    let plain = answer(vec![
        a("t.test.", 60, 1),
        a("T.TEST.", 30, 2),
        a("t.test.", 60, 1),
    ]);
    assert_eq!(found(&plain), Ok((texts(&["10.0.0.1", "10.0.0.2"]), 30)));
    let aliases = answer(vec![
        a("c.test.", 60, 3),
        alias("b.test.", 50, "c.test."),
        alias("t.test.", 20, "b.test."),
        a("t.elsewhere.", 1, 9),
    ]);
    assert_eq!(found(&aliases), Ok((texts(&["10.0.0.3"]), 20)));
    let other_type = answer(vec![record(
        "t.test.",
        60,
        RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)),
    )]);
    assert_eq!(found(&other_type), Ok((vec![], 60)));
    let v6 = read(&other_type.to_vec().unwrap(), Kind::V6).unwrap();
    assert_eq!(v6.addresses, [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    // A circle of aliases has an end.
    let circle = answer(vec![
        alias("t.test.", 9, "b.test."),
        alias("b.test.", 9, "t.test."),
    ]);
    assert_eq!(found(&circle), Ok((vec![], 60)));
    let many = answer((0..200).map(|i| a("t.test.", 60, i)).collect());
    assert_eq!(found(&many).unwrap().0.len(), ADDRESSES);
}

#[test]
fn times_are_bounded() {
    let of = |ttl| found(&answer(vec![a("t.test.", ttl, 1)])).unwrap().1;
    assert_eq!((of(0), of(59), of(u32::MAX)), (0, 59, 0));
    assert_eq!(of(i32::MAX.cast_unsigned()), LONGEST.as_secs());
    let mut nothing = answer(vec![]);
    nothing.metadata.response_code = ResponseCode::NXDomain;
    assert_eq!(found(&nothing), Ok((vec![], 60)));
    let soa = |minimum| SOA::new(name("ns."), name("who."), 1, 1, 1, 1, minimum);
    for (minimum, kept) in [(5, 5), (3600, 60)] {
        let mut nothing = nothing.clone();
        nothing.add_authority(record("test.", 3600, RData::SOA(soa(minimum))));
        assert_eq!(found(&nothing), Ok((vec![], kept)));
    }
}

#[test]
fn what_is_not_an_answer_is_an_error() {
    let mut refused = answer(vec![]);
    refused.metadata.response_code = ResponseCode::Refused;
    assert!(matches!(found(&refused), Err(DnsError::Code(_))));
    let mut cut = answer(vec![]);
    cut.metadata.truncation = true;
    assert!(matches!(found(&cut), Err(DnsError::Malformed(_))));
    let good = answer(vec![a("t.test.", 60, 1)]).to_vec().unwrap();
    for length in 0..good.len() {
        assert!(read(&good[..length], Kind::V4).is_err(), "{length}");
    }
}

#[test]
fn names_that_point_in_circles_and_numbers_that_lie_are_refused() {
    let mut itself = answer(vec![a("t.test.", 60, 1)]).to_vec().unwrap();
    let owner = 12 + 8 + 4;
    assert_eq!(itself[owner], 0xc0, "the owner points to the question");
    itself[owner + 1] = u8::try_from(owner).unwrap();
    assert!(matches!(
        read(&itself, Kind::V4),
        Err(DnsError::Malformed(_))
    ));
    let mut ahead = itself.clone();
    ahead[owner + 1] += 2;
    assert!(read(&ahead, Kind::V4).is_err());
    let good = answer(vec![a("t.test.", 60, 1)]).to_vec().unwrap();
    for count in [4, 6, 8, 10] {
        let mut lying = good.clone();
        lying[count..count + 2].copy_from_slice(&[0xff, 0xff]);
        assert!(read(&lying, Kind::V4).is_err(), "{count}");
    }
}

proptest::proptest! {
    /// Whatever comes, it is an answer or an error, and no more addresses than are taken.
    #[test]
    fn anything_is_read_or_refused(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        edits in proptest::collection::vec((0..500_usize, proptest::prelude::any::<u8>()), 0..8),
        length in 0..500_usize,
    ) {
        let records = vec![alias("t.test.", 9, "b.test."), a("b.test.", 60, 1)];
        let mut good = answer(records).to_vec().unwrap();
        let question = good.clone();
        for (at, byte) in edits {
            let at = at % good.len();
            good[at] = byte;
        }
        good.truncate(length);
        for message in [bytes, good] {
            let _ = check(&message, &question);
            let _ = check(&question, &message);
            for kind in [Kind::V4, Kind::V6] {
                if let Ok(found) = read(&message, kind) {
                    proptest::prop_assert!(found.addresses.len() <= ADDRESSES);
                    proptest::prop_assert!(found.ttl <= LONGEST);
                }
            }
        }
    }
}
