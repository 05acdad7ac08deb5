use std::time::Instant;

use crate::models::{DefaultOutput, ProgramConfig};
use crate::output::StreamKind;
use crate::output::lines::{Assembler, MAX_LAST_LINE, MAX_PARTIAL, MAX_PARTIAL_AGE, last_line};
use crate::output::messages::{LogPart, LogStart};
use crate::output::ring::Ring;
use crate::output::target::Target;

#[test]
fn a_ring_keeps_the_newest_bytes_whatever_the_pieces() {
    for limit in [1, 2, 7, 512, 1000] {
        let mut ring = Ring::default();
        let mut all = Vec::new();
        for n in 0..400_usize {
            let piece: Vec<u8> = (0..(n * 7) % 23).map(|i| (n + i) as u8).collect();
            ring.push(&piece, limit);
            all.extend_from_slice(&piece);
            let expected = &all[all.len().saturating_sub(limit)..];
            assert_eq!(ring.newest(usize::MAX), expected, "limit {limit}, piece {n}");
            let few = expected.len().min(3);
            assert_eq!(ring.newest(3), &expected[expected.len() - few..]);
        }
    }
}

#[test]
fn a_ring_follows_its_limit() {
    let mut ring = Ring::default();
    ring.push(b"0123456789", 8);
    ring.push(b"ab", 8);
    assert_eq!(ring.newest(99), b"456789ab");
    ring.push(b"c", 4);
    assert_eq!(ring.newest(99), b"9abc");
    ring.push(b"d", 4);
    ring.push(b"efgh", 10);
    assert_eq!(ring.newest(99), b"abcdefgh");
    ring.push(b"", 0);
    assert_eq!(ring.newest(99), b"");
}

#[test]
fn the_last_line_is_text_whatever_the_bytes() {
    assert_eq!(last_line(b""), None);
    assert_eq!(last_line(b"\n \n\r\n"), None);
    assert_eq!(last_line(b"one\ntwo\r\n\n").as_deref(), Some("two"));
    assert_eq!(last_line(b"a\xff\x07b").as_deref(), Some("a\u{fffd} b"));
    assert_eq!(last_line(b"\x1b[31mno disk\x1b[0m\n").as_deref(), Some("no disk"));
    assert_eq!(
        last_line(b"\x1b[31mno disk\n\x1b[0m\n").as_deref(),
        Some("no disk"),
        "nothing is to be seen in the last"
    );
    // The memory begins inside of a character.
    assert_eq!(last_line("xé end".as_bytes().get(2..).unwrap()).as_deref(), Some(" end"));
    let long = last_line("é".repeat(1000).as_bytes()).unwrap();
    assert!(long.len() <= MAX_LAST_LINE && long.chars().all(|c| c == 'é'));
    assert!(last_line(&[0xff; 2000]).unwrap().len() <= MAX_LAST_LINE);
}

#[test]
fn lines_are_put_together_and_partial_ones_are_bounded() {
    let now = Instant::now();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut assembler = Assembler::default();
    assembler.push(now, b"a", &mut |line| lines.push(line.bytes.to_vec()));
    assert_eq!(assembler.due(), Some(now + MAX_PARTIAL_AGE));
    assembler.push(now, b"b\n\nc\xff\0\nd", &mut |line| lines.push(line.bytes.to_vec()));
    assert_eq!(lines, [b"ab".to_vec(), b"".to_vec(), b"c\xff\0".to_vec()]);
    assembler.flush(true, &mut |line| lines.push(line.bytes.to_vec()));
    assert_eq!(lines.pop().unwrap(), b"d");
    assert_eq!(assembler.due(), None);
    lines.clear();
    assembler.push(now, &vec![b'x'; 3 * MAX_PARTIAL + 5], &mut |line| lines.push(line.bytes.to_vec()));
    assert!(lines.len() == 3 && lines.iter().all(|line| line.len() == MAX_PARTIAL));
    let mut marks = Vec::new();
    assembler.push(now, &[b'x'; MAX_PARTIAL], &mut |line| marks.push(line.is_partial));
    assembler.push(now, b"\ny", &mut |line| marks.push(line.is_partial));
    assembler.flush(false, &mut |line| marks.push(line.is_partial));
    assembler.push(now, b"z", &mut |line| marks.push(line.is_partial));
    assembler.flush(true, &mut |line| marks.push(line.is_partial));
    assert_eq!(marks, [true, false, true, false], "each part of a line but the last says so");
}

#[test]
fn names_of_the_own_descriptors_are_never_files() {
    let mut config = ProgramConfig::new("web", "x");
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/1/fd/1", "/dev/stderr", "/dev/fd/2"] {
        config.stdout_logfile = Some(name.to_owned());
        let target = Target::of(&config, StreamKind::Stdout, DefaultOutput::None);
        assert!(matches!(target, Target::Console { prefix: false, .. }), "{name}");
    }
    config.stdout_logfile = Some("NONE".to_owned());
    assert_eq!(Target::of(&config, StreamKind::Stdout, DefaultOutput::Console), Target::Nothing);
    let unset = Target::of(&config, StreamKind::Stderr, DefaultOutput::Console);
    assert!(matches!(unset, Target::Console { prefix: true, .. }));
}

#[test]
fn offsets_into_memory_count_all_that_was_written() {
    let part = |from, length| {
        let part = LogPart::of_memory(b"456789", 10, from, length);
        (String::from_utf8(part.bytes).unwrap(), part.begin, part.size)
    };
    assert_eq!(part(LogStart::At(7), None), ("789".to_owned(), 7, 10));
    assert_eq!(part(LogStart::At(10), Some(5)), (String::new(), 10, 10), "nothing new");
    assert_eq!(part(LogStart::At(0), Some(2)), ("45".to_owned(), 4, 10), "what is gone");
    assert_eq!(part(LogStart::BeforeEnd(3), Some(2)), ("78".to_owned(), 7, 10));
    assert_eq!(part(LogStart::BeforeEnd(99), None), ("456789".to_owned(), 4, 10));
}
