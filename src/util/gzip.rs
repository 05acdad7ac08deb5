//! gzip (RFC 1951, 1952), as much of it as rotated logs and the web page need.
//!
//! Our own because it is two pages of code and two kilobytes of program, where the smallest crate adds some forty and
//! the system's `gzip` may be missing on a board and would be a child to care for. One match is looked for at each
//! place and the fixed code is used: logs become about a fifth, where `gzip` makes a seventh of them.

/// How far back a match may be.
const WINDOW: usize = 32 * 1024;
const HASH_BITS: u32 = 14;
const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
const END_OF_BLOCK: u32 = 256;

/// The first length of each length code from 257 on, and the extra bits that follow the code.
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// Makes one gzip file, piece by piece. Takes some 130 KiB and what is not taken out yet.
pub struct Encoder {
    /// The last [`WINDOW`] bytes and the piece that is being encoded.
    window: Vec<u8>,
    /// Where in the whole input the window begins, modulo 2^32.
    base: u32,
    /// Where in the whole input a place with this hash was, plus 1.
    places: Vec<u32>,
    crc: u32,
    length: u32,
    bits: u64,
    bit_count: u32,
    /// What was made and not taken out yet.
    pub out: Vec<u8>,
}

impl Encoder {
    /// The header is made at once.
    pub fn new() -> Encoder {
        Encoder {
            window: Vec::new(),
            base: 0,
            places: vec![0; 1 << HASH_BITS],
            crc: !0,
            length: 0,
            bits: 0,
            bit_count: 0,
            // Deflated, no name, no time, unknown system.
            out: vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255],
        }
    }

    /// Encodes the next piece.
    pub fn push(&mut self, data: &[u8]) {
        for byte in data {
            self.crc = CRC_TABLE[usize::from((self.crc as u8) ^ byte)] ^ (self.crc >> 8);
        }
        self.length = self.length.wrapping_add(data.len() as u32);
        let surplus = self.window.len().saturating_sub(WINDOW);
        self.window.drain(..surplus);
        self.base = self.base.wrapping_add(surplus as u32);
        let begin = self.window.len();
        self.window.extend_from_slice(data);
        // Not the last block, fixed code.
        self.put(0b010, 3);
        let mut at = begin;
        while at < self.window.len() {
            at += match self.find(at) {
                Some((length, distance)) => {
                    self.put_match(length, distance);
                    for place in at + 1..at + length {
                        let _ = self.remember(place);
                    }
                    length
                }
                None => {
                    let literal = self.window.get(at).copied().unwrap_or_default();
                    self.put_symbol(u32::from(literal));
                    1
                }
            };
        }
        self.put_symbol(END_OF_BLOCK);
    }

    /// Makes the end.
    pub fn finish(&mut self) {
        // The last block, empty.
        self.put(0b011, 3);
        self.put_symbol(END_OF_BLOCK);
        self.put(0, 7);
        self.out.extend_from_slice(&(!self.crc).to_le_bytes());
        self.out.extend_from_slice(&self.length.to_le_bytes());
    }

    /// Notes the place; where its first bytes were seen before, as an index into the window.
    fn remember(&mut self, at: usize) -> Option<usize> {
        let bytes: [u8; MIN_MATCH] = self.window.get(at..at + MIN_MATCH)?.try_into().ok()?;
        let hash = u32::from_le_bytes(bytes).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS);
        let slot = self.places.get_mut(usize::try_from(hash).ok()?)?;
        let place = self.base.wrapping_add(at as u32);
        let before = std::mem::replace(slot, place.wrapping_add(1));
        let distance = place.wrapping_sub(before.wrapping_sub(1)) as usize;
        let known = before != 0 && (1..=WINDOW.min(at)).contains(&distance);
        known.then(|| at - distance)
    }

    fn find(&mut self, at: usize) -> Option<(usize, usize)> {
        let before = self.remember(at)?;
        let (old, new) = (self.window.get(before..)?, self.window.get(at..)?);
        let length = old.iter().zip(new.iter().take(MAX_MATCH)).take_while(|(old, new)| old == new).count();
        (length >= MIN_MATCH).then_some((length, at - before))
    }

    fn put_match(&mut self, length: usize, distance: usize) {
        let code = LENGTHS.partition_point(|(first, _)| usize::from(*first) <= length).saturating_sub(1);
        let (first, extra) = LENGTHS[code];
        self.put_symbol(257 + code as u32);
        self.put((length - usize::from(first)) as u32, u32::from(extra));
        // Distance codes: two for each power of two, the rest of the bits follow.
        let distance = (distance - 1) as u32;
        let extra = distance.checked_ilog2().map_or(0, |log| log.saturating_sub(1));
        let code = 2 * extra + (distance >> extra);
        self.put(code.reverse_bits() >> 27, 5);
        self.put(distance & ((1 << extra) - 1), extra);
    }

    fn put_symbol(&mut self, symbol: u32) {
        let (code, length) = match symbol {
            0..144 => (0x30 + symbol, 8),
            144..256 => (0x190 + symbol - 144, 9),
            256..280 => (symbol - 256, 7),
            _ => (0xC0 + symbol - 280, 8),
        };
        self.put(code.reverse_bits() >> (32 - length), length);
    }

    fn put(&mut self, value: u32, count: u32) {
        self.bits |= u64::from(value) << self.bit_count;
        self.bit_count += count;
        while self.bit_count >= 8 {
            self.out.push(self.bits as u8);
            self.bits >>= 8;
            self.bit_count -= 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn encode(data: &[u8], piece: usize) -> Vec<u8> {
        let mut encoder = Encoder::new();
        data.chunks(piece).for_each(|piece| encoder.push(piece));
        encoder.finish();
        encoder.out
    }

    /// What the system's gzip makes of it.
    fn decode(data: &[u8]) -> Vec<u8> {
        let mut child =
            Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
        let mut stdin = child.stdin.take().expect("piped");
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(data));
            let output = child.wait_with_output().expect("gzip");
            assert!(output.status.success());
            output.stdout
        })
    }

    #[test]
    fn gzip_reads_it_whatever_the_bytes_and_the_pieces() {
        let lines: Vec<u8> =
            (0..30_000).flat_map(|n| format!("{n} GET /index.html?id={} 200\n", n * 7919).into_bytes()).collect();
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let noise: Vec<u8> = noise.take(200_000).collect();
        for data in [&b""[..], b"a", b"aaaa", &[0; 100_000], &lines, &noise] {
            for piece in [1_000, 65_536] {
                assert!(decode(&encode(data, piece)) == data, "{} bytes, pieces of {piece}", data.len());
            }
        }
        assert!(encode(&lines, 65_536).len() * 3 < lines.len());
        assert!(encode(&[0; 1_000_000], 65_536).len() < 10_000);
    }
}
