//! The escape sequences of terminals, taken out of what a program writes (`strip_ansi`): colours, the cursor's moves,
//! titles, links.
//!
//! As ECMA-48 has them, across any division into pieces; what is left keeps its order, and no other byte goes. A
//! sequence that a control character breaks off ends there.

use crate::util::escapes::{ESC, Escapes, Step};

/// Takes the sequences out of a piece, behind those before it; how many bytes are left, at its beginning.
pub(super) fn strip(escapes: &mut Escapes, piece: &mut [u8]) -> usize {
    let Some(first) = first(*escapes, piece) else { return piece.len() };
    let mut kept = first;
    for at in first..piece.len() {
        let Some(byte) = piece.get(at).copied() else { break };
        let is_text = match escapes.step(byte) {
            Step::Text | Step::Broken { is_text: true } => true,
            Step::Inside | Step::End | Step::Broken { is_text: false } => false,
        };
        if is_text && let Some(place) = piece.get_mut(kept) {
            *place = byte;
            kept += 1;
        }
    }
    kept
}

/// The first byte that may be no text. Most pieces have none.
fn first(escapes: Escapes, piece: &[u8]) -> Option<usize> {
    match escapes {
        Escapes::Text => piece.iter().position(|byte| *byte == ESC),
        Escapes::Escape | Escapes::Intermediate | Escapes::Control | Escapes::String | Escapes::StringEscape => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(pieces: &[&[u8]]) -> Vec<u8> {
        let mut escapes = Escapes::default();
        let mut text = Vec::new();
        for piece in pieces {
            let mut piece = piece.to_vec();
            let kept = strip(&mut escapes, &mut piece);
            text.extend_from_slice(&piece[..kept]);
        }
        text
    }

    #[test]
    fn sequences_go_and_text_stays() {
        for (written, text) in [
            ("plain\n", "plain\n"),
            ("\x1b[31mred\x1b[0m\n", "red\n"),
            ("\x1b[38;5;196mred\x1b[m and \x1b[1;4mbold\x1b[22m", "red and bold"),
            ("10 %\x1b[2K\r20 %\x1b[1G", "10 %\r20 %"),
            ("\x1b]0;a title\x07text", "text"),
            ("\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\.", "link."),
            ("\x1bPq#0;2\x1b\\after", "after"),
            ("\x1b(B\x1b)0a\x1b7b\x1b=c", "abc"),
            ("\x1b[?25lhidden\x1b[?25h", "hidden"),
            ("\x1b([1m", "1m"),
            ("ends \x1b[3", "ends "),
            ("\x1b\x1b[1mx", "x"),
            ("grüße \x1b[1m≤\x1b[0m", "grüße ≤"),
            // Broken off.
            ("\x1b[12\nnext", "\nnext"),
            ("\x1b]title\nnext", "\nnext"),
            ("\x1b]title\x1b\nnext", "\nnext"),
            ("\x1b]title\x1b[1mnext", "next"),
            ("\x1b\nnext", "\nnext"),
        ] {
            assert_eq!(String::from_utf8(stripped(&[written.as_bytes()])).unwrap(), text, "{written:?}");
        }
        assert_eq!(stripped(&[b"\x1b[1\xffm\x00"]), b"\xffm\x00", "no byte of a sequence");
    }

    #[test]
    fn it_is_the_same_however_it_is_divided() {
        let written = b"a\x1b[1;31mb\x1b]0;t\x07c\x1b(Bd\n\x1b[0m\x1b]8;;u\x1b\\e";
        let whole = stripped(&[written]);
        assert_eq!(whole, b"abcd\ne");
        for size in 1..written.len() {
            let pieces: Vec<&[u8]> = written.chunks(size).collect();
            assert_eq!(stripped(&pieces), whole, "in pieces of {size}");
        }
    }
}
