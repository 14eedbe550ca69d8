use super::*;

const STREAM: StreamId = StreamId(3);

fn queue(change: impl FnOnce(&mut Config)) -> SendQueue {
    let mut config = Config::default();
    change(&mut config);
    SendQueue::new(&config)
}

/// Writes at most `max` bytes.
fn take(out: &mut Outgoing, max: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while out.has_remaining() && taken.len() < max {
        let length = out.chunk().len().min(max - taken.len());
        taken.extend_from_slice(&out.chunk()[..length]);
        out.advance(length);
    }
    taken
}

#[test]
fn data_is_split_at_the_frame_size() {
    let mut queue = queue(|c| c.max_frame_size = 3);
    assert_eq!(queue.push_data(STREAM, b"abcdefgh", 7), 7);
    let mut out = Outgoing::new();
    assert!(queue.load(&mut out));
    assert_eq!(
        take(&mut out, 99),
        b"\x01\x02\x03\x00\x03\x00\x00\x00abc\
          \x01\x02\x03\x00\x03\x00\x00\x00def\
          \x01\x02\x01\x00\x03\x00\x00\x00g"
    );
}

#[test]
fn data_stops_at_the_limit_but_a_frame_is_not_cut_for_it() {
    let mut queue = queue(|c| {
        c.max_frame_size = 100;
        c.send_buffer = 150;
    });
    assert_eq!(queue.push_data(STREAM, &[0; 1000], usize::MAX), 200);
    assert!(!queue.has_room());
    assert_eq!(queue.push_data(STREAM, b"x", usize::MAX), 0);
    assert_eq!(queue.excess(), 0);
    for _ in 0..10 {
        queue.push_fin(STREAM);
    }
    assert_eq!(queue.excess(), 2 * 108 + 80 - (150 + 108));
}

/// Wherever in a frame the writing stopped, control goes behind that frame.
#[test]
fn control_goes_in_at_the_next_border_between_frames() {
    let frames = [b"a".as_slice(), b"bcd", &[7; 300]];
    let whole: usize = frames.iter().map(|f| HEADER_LEN + f.len()).sum();
    let borders = [0, 9, 20, whole];
    for written in 0..=whole {
        let mut queue = queue(|_| ());
        for frame in frames {
            queue.push_data(STREAM, frame, usize::MAX);
        }
        let mut out = Outgoing::new();
        queue.load(&mut out);
        let plain = out.chunk().to_vec();
        let mut sent = take(&mut out, written);
        queue.push_control(Command::Syn, StreamId(5));
        queue.load(&mut out);
        // More control while the first is half written keeps its order.
        let border = borders.into_iter().find(|&b| b >= written).unwrap();
        sent.extend(take(&mut out, border - written + 4));
        queue.push_control(Command::Nop, StreamId(0));
        queue.load(&mut out);

        let mut slices = [IoSlice::new(&[]); 4];
        let count = out.chunks_vectored(&mut slices);
        let gathered: usize = slices[..count].iter().map(|s| s.len()).sum();
        assert_eq!(gathered, out.remaining());
        assert!(slices[..count].iter().all(|s| !s.is_empty()));

        sent.extend(take(&mut out, usize::MAX));
        let mut expected = plain;
        let control = b"\x01\x00\x00\x00\x05\x00\x00\x00\x01\x03\x00\x00\x00\x00\x00\x00";
        expected.splice(border..border, control.iter().copied());
        assert_eq!(sent, expected, "written {written}");
    }
}

#[test]
fn data_follows_only_when_the_earlier_is_written() {
    let mut queue = queue(|_| ());
    let mut out = Outgoing::new();
    queue.push_data(STREAM, b"first", usize::MAX);
    assert!(queue.load(&mut out));
    queue.push_data(STREAM, b"second", usize::MAX);
    take(&mut out, 12);
    assert!(!queue.load(&mut out));
    take(&mut out, 1);
    assert!(queue.load(&mut out));
    assert!(take(&mut out, 99).ends_with(b"second"));
    assert!(!queue.load(&mut out));
    assert!(!out.has_remaining() && queue.is_empty());
}

#[test]
fn two_buffers_take_turns() {
    let mut queue = queue(|_| ());
    let mut out = Outgoing::new();
    let mut seen = Vec::new();
    for _ in 0..10 {
        queue.push_data(STREAM, &[7; 1000], usize::MAX);
        queue.load(&mut out);
        seen.push(out.chunk().as_ptr());
        // The next is built up while this one is written.
        queue.push_data(STREAM, &[7; 1000], usize::MAX);
        take(&mut out, usize::MAX);
        queue.load(&mut out);
        seen.push(out.chunk().as_ptr());
        take(&mut out, usize::MAX);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2);
}

#[test]
fn nothing_is_kept_after_a_trim() {
    let mut queue = queue(|_| ());
    let mut out = Outgoing::new();
    for _ in 0..3 {
        queue.push_data(STREAM, &vec![7; 100_000], usize::MAX);
        queue.push_control(Command::Nop, StreamId(0));
        queue.load(&mut out);
        take(&mut out, usize::MAX);
    }
    queue.load(&mut out);
    queue.trim();
    assert_eq!(out.data.capacity(), 0);
    assert!(out.control.capacity() <= KEPT_CONTROL);
    assert_eq!(queue.stage.capacity(), 0);
    assert_eq!(queue.spare.capacity(), 0);
    assert_eq!(queue.control.capacity(), 0);
}

#[test]
#[should_panic(expected = "advanced past the end")]
fn advancing_past_the_end_panics() {
    let mut queue = queue(|_| ());
    let mut out = Outgoing::new();
    queue.push_fin(STREAM);
    queue.load(&mut out);
    out.advance(9);
}
