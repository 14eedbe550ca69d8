//! What must hold whatever is received.

use gost_ws::{
    Decoder, Role,
    handshake::{Headers, Key, MAX_HEAD, Request, RequestHead, Response, ResponseHead},
};

/// Any bytes give the same payload and end, whole or cut in two.
pub fn any_bytes(bytes: &[u8], at: usize) {
    for role in [Role::Client, Role::Server] {
        let mut whole = Decoder::new(role);
        let mut all = bytes.to_vec();
        let length = whole.decode(&mut all);
        assert!(length <= bytes.len());

        let mut halved = Decoder::new(role);
        let (head, tail) = bytes.split_at(at % (bytes.len() + 1));
        let (mut head, mut tail) = (head.to_vec(), tail.to_vec());
        let first = halved.decode(&mut head);
        let second = halved.decode(&mut tail);
        assert_eq!([&head[..first], &tail[..second]].concat(), all[..length]);
        assert_eq!(halved.end(), whole.end());
        assert_eq!(halved.take_ping(), whole.take_ping());
        assert_eq!(halved.is_between_frames(), whole.is_between_frames());
    }
}

/// Any bytes as heads; what is taken is within bounds.
pub fn any_head(bytes: &[u8]) {
    let key = Key::new([7; 16]);
    if let Ok(Some(head)) = RequestHead::parse(bytes, "/ws") {
        assert!(head.length <= bytes.len());
        let answer = Response::default().encode(&head.key);
        assert!(matches!(
            ResponseHead::parse(answer.as_bytes(), &head.key),
            Ok(Some(_))
        ));
    }
    if let Ok(Some(head)) = ResponseHead::parse(bytes, &key) {
        assert!(head.length <= bytes.len());
    }
    if bytes.len() >= MAX_HEAD {
        assert_ne!(RequestHead::parse(bytes, "/ws"), Ok(None));
        assert_ne!(ResponseHead::parse(bytes, &key), Ok(None));
    }
}

/// Whatever a configuration says, either it is refused or the other end reads what was meant.
pub fn any_configuration(path: &str, host: &str, lines: &[(&str, &str)]) {
    let Ok(headers) = Headers::new(lines.iter().copied()) else {
        return;
    };
    let key = Key::new([7; 16]);
    // Names of hosts come from addresses, which were checked.
    let host: String = host.chars().filter(char::is_ascii_graphic).collect();
    let head = Request::new(path, headers.clone()).encode(&host, &key);
    if head.len() < MAX_HEAD && lines.len() < 100 {
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let read = RequestHead::parse(head.as_bytes(), &path);
        let read = read.unwrap().unwrap();
        assert_eq!((read.length, read.key), (head.len(), key.clone()));
        let answer = Response::new(headers).encode(&key);
        let read = ResponseHead::parse(answer.as_bytes(), &key)
            .unwrap()
            .unwrap();
        assert_eq!(read.length, answer.len());
    }
}
