use proptest::prelude::*;

use super::*;

fn headers<'a>(lines: &[(&'a str, &'a str)]) -> Vec<Header<'a>> {
    lines
        .iter()
        .map(|(name, value)| Header {
            name,
            value: value.as_bytes(),
        })
        .collect()
}

#[test]
fn requests_whose_length_is_ambiguous_are_refused() {
    for lines in [
        &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")][..],
        &[("Content-Length", "5"), ("content-length", "6")],
        &[("Content-Length", "5, 6")],
        &[("Content-Length", "+5")],
        &[("Content-Length", "-1")],
        &[("Content-Length", "0x5")],
        &[("Content-Length", "5 5")],
        &[("Content-Length", "")],
        &[("Content-Length", "99999999999999999999")],
        &[("Transfer-Encoding", "identity")],
        &[("Transfer-Encoding", "xchunked")],
        &[("Transfer-Encoding", "chunked, identity")],
        &[("Transfer-Encoding", "gzip, chunked")],
        &[
            ("Transfer-Encoding", "chunked"),
            ("Transfer-Encoding", "chunked"),
        ],
        &[("Transfer-Encoding", "\u{b}chunked")],
        &[("Transfer-Encoding", "")],
    ] {
        let headers = headers(lines);
        assert!(of_request(&headers, false).is_err(), "{lines:?}");
    }
    let chunked = headers(&[("Transfer-Encoding", "chunked")]);
    assert!(of_request(&chunked, true).is_err());
}

#[test]
fn lengths_of_requests() {
    for (lines, framing) in [
        (&[][..], Framing::EMPTY),
        (&[("Content-Length", "5")], Framing::Length(5)),
        (
            &[("Content-Length", "5"), ("Content-Length", "5")],
            Framing::Length(5),
        ),
        (&[("transfer-encoding", "Chunked")], Framing::Chunked),
    ] {
        assert_eq!(of_request(&headers(lines), false), Ok(framing), "{lines:?}");
    }
}

#[test]
fn lengths_of_responses() {
    let both = headers(&[("Content-Length", "5"), ("Transfer-Encoding", "chunked")]);
    let length = headers(&[("Content-Length", "5")]);
    assert_eq!(of_response(&both, 200, false), Ok(Framing::Chunked));
    assert_eq!(of_response(&length, 200, false), Ok(Framing::Length(5)));
    assert_eq!(of_response(&length, 200, true), Ok(Framing::EMPTY));
    for status in [100, 199, 204, 304] {
        assert_eq!(of_response(&length, status, false), Ok(Framing::EMPTY));
    }
    assert_eq!(of_response(&[], 200, false), Ok(Framing::UntilClose));
    let zipped = headers(&[("Transfer-Encoding", "gzip, chunked")]);
    assert_eq!(of_response(&zipped, 200, false), Ok(Framing::Chunked));
    let gzip = headers(&[("Transfer-Encoding", "gzip")]);
    assert_eq!(of_response(&gzip, 200, false), Ok(Framing::UntilClose));
    for lines in [
        &[("Content-Length", "5"), ("Content-Length", "6")][..],
        &[("Transfer-Encoding", "chunked, chunked")],
        &[("Transfer-Encoding", "chunked, gzip")],
    ] {
        assert!(
            of_response(&headers(lines), 200, false).is_err(),
            "{lines:?}"
        );
    }
}

/// The length of the body and its payload, fed in pieces.
fn read(text: &[u8], step: usize) -> Result<(usize, Vec<u8>, bool), BodyError> {
    let mut body = Body::new(Framing::Chunked);
    let (mut at, mut payload) = (0, Vec::new());
    for end in (step..text.len() + step).step_by(step) {
        let end = end.min(text.len());
        while at < end && !body.is_done() {
            let piece = body.next_piece(&text[at..end])?;
            assert!(piece.len > 0);
            if piece.payload {
                payload.extend_from_slice(&text[at..at + piece.len]);
            }
            at += piece.len;
        }
    }
    Ok((at, payload, body.is_done()))
}

#[test]
fn chunks_end_where_they_say_however_they_are_cut() {
    let text = b"5\r\nhello\r\n00A ; x=\"y\"\r\n0123456789\r\n0;last\r\nX-A: b\r\nC:\r\n\r\nGET";
    for step in 1..text.len() {
        let (end, payload, done) = read(text, step).unwrap();
        assert_eq!((end, done), (text.len() - 3, true), "{step}");
        assert_eq!(payload, b"hello0123456789");
    }
}

#[test]
fn chunks_that_others_might_read_differently_are_refused() {
    for text in [
        &b"\r\n"[..],
        b";x\r\n",
        b"g\r\n",
        b"0x5\r\n",
        b"+5\r\n",
        b" 5\r\n",
        b"5 6\r\n",
        b"5\nhello",
        b"5\rhello",
        b"5;a\nb\r\n",
        b"5;a\rb\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n0\r\n",
        b"1000000000000000\r\n",
        b"0\r\n\n",
        b"0\r\n X: a\r\n",
        b"0\r\nX : a\r\n",
        b"0\r\nX\r\n",
        b"0\r\nX: a\nb",
        b"0\r\n\rX",
    ] {
        assert!(
            matches!(read(text, 1), Err(BodyError::Chunk(_))),
            "{text:?}"
        );
        assert!(
            matches!(read(text, text.len()), Err(BodyError::Chunk(_))),
            "{text:?}"
        );
    }
    let mut long = b"5;".to_vec();
    long.resize(8000, b'a');
    assert!(read(&long, long.len()).is_err());
    let mut long = b"0\r\nX:".to_vec();
    long.resize(20_000, b'a');
    assert!(read(&long, long.len()).is_err());
}

#[test]
fn the_end_of_a_connection_ends_only_what_has_no_length() {
    for (framing, took, ends) in [
        (Framing::UntilClose, 3, true),
        (Framing::Length(3), 3, true),
        (Framing::Length(9), 3, false),
        (Framing::Chunked, 3, false),
    ] {
        let mut body = Body::new(framing);
        assert_eq!(body.take(b"3\r\n"), Ok(took));
        assert_eq!(body.end().is_ok(), ends, "{framing:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_alike_whole_and_in_pieces(bytes in proptest::collection::vec(
        prop_oneof![Just(b'0'), Just(b'3'), Just(b'\r'), Just(b'\n'), Just(b';'), any::<u8>()], 0..40)) {
        prop_assert_eq!(read(&bytes, 1), read(&bytes, bytes.len().max(1)));
    }
}
