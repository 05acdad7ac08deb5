//! What a terminal shows of what a program writes to it: as much of xterm as supervicectl uses. A sequence that it does
//! not know is a panic: who uses a new one teaches it here.

/// A grid of characters, and the other one that full-screen programs turn to.
pub struct Screen {
    columns: usize,
    rows: usize,
    lines: Vec<Vec<char>>,
    row: usize,
    /// Equal to `columns` behind the last character of a full line, where the cursor waits on that character.
    column: usize,
    /// The usual screen while the other one is shown.
    usual: Option<(Vec<Vec<char>>, usize, usize)>,
    /// How often something was drawn from the upper left corner.
    pub drawn: usize,
    pub cursor_is_shown: bool,
    /// Bytes of a sequence or character that is not complete yet.
    pending: Vec<u8>,
}

impl Screen {
    pub fn new(columns: usize, rows: usize) -> Screen {
        let lines = vec![vec![' '; columns]; rows];
        Screen {
            columns,
            rows,
            lines,
            row: 0,
            column: 0,
            usual: None,
            drawn: 0,
            cursor_is_shown: true,
            pending: vec![],
        }
    }

    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.lines.resize(rows, vec![]);
        self.lines.iter_mut().for_each(|line| line.resize(columns, ' '));
        (self.columns, self.rows) = (columns, rows);
        (self.row, self.column) = (self.row.min(rows - 1), self.column.min(columns));
    }

    /// Is the screen of full-screen programs shown?
    pub fn is_other(&self) -> bool {
        self.usual.is_some()
    }

    /// The lines without what is blank at their ends, and without blank ones at the end.
    pub fn text(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| line.iter().collect::<String>()).collect();
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// The line on which the cursor stands, up to it.
    pub fn to_cursor(&self) -> String {
        self.lines[self.row][..self.column].iter().collect()
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while let Some(used) = self.take(rest) {
            rest = &rest[used..];
        }
        self.pending = rest.to_vec();
    }

    /// The length of what it took from the beginning; `None`: that is not complete.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        match *bytes.first()? {
            b'\r' => self.column = 0,
            b'\n' => self.line_feed(),
            8 => self.column = self.column.saturating_sub(1),
            7 => {}
            0x1b => {
                assert!(bytes.get(1).is_none_or(|byte| *byte == b'['), "unknown: {:?}", &bytes[..bytes.len().min(8)]);
                let end = bytes.iter().skip(2).position(|byte| (0x40..=0x7e).contains(byte))? + 2;
                self.sequence(std::str::from_utf8(&bytes[2..end]).expect("ASCII"), bytes[end]);
                return Some(end + 1);
            }
            first => {
                let length = [0x80, 0xe0, 0xf0].iter().filter(|least| first >= **least).count() + 1;
                let c = std::str::from_utf8(bytes.get(..length)?).expect("UTF-8").chars().next()?;
                assert!(!c.is_control(), "a control character: {c:?}");
                self.put(c);
                return Some(length);
            }
        }
        Some(1)
    }

    fn line_feed(&mut self) {
        if self.row + 1 < self.rows {
            self.row += 1;
        } else {
            self.lines.remove(0);
            self.lines.push(vec![' '; self.columns]);
        }
    }

    fn put(&mut self, c: char) {
        if self.column >= self.columns {
            self.column = 0;
            self.line_feed();
        }
        self.lines[self.row][self.column] = c;
        self.column += 1;
    }

    fn sequence(&mut self, arguments: &str, end: u8) {
        let blank = vec![' '; self.columns];
        // Where the cursor really stands.
        let column = self.column.min(self.columns - 1);
        match (arguments, end) {
            (_, b'm') => {}
            ("", b'H') => {
                (self.row, self.column) = (0, 0);
                self.drawn += 1;
            }
            ("", b'J') => {
                self.lines[self.row][column..].fill(' ');
                self.lines[self.row + 1..].fill(blank);
            }
            ("2", b'J') => self.lines.fill(blank),
            ("", b'K') => self.lines[self.row][column..].fill(' '),
            (count, b'C') => self.column = (column + count.parse::<usize>().expect("a number")).min(self.columns - 1),
            ("?25", b'l') => self.cursor_is_shown = false,
            ("?1000" | "?1002" | "?1003" | "?1006" | "?2004", b'h' | b'l') | ("?1", b'h' | b'l') => {}
            ("?25", b'h') => self.cursor_is_shown = true,
            ("?1049", b'h') => {
                let usual = std::mem::replace(&mut self.lines, vec![blank; self.rows]);
                self.usual = Some((usual, self.row, self.column));
            }
            ("?1049", b'l') => {
                let (lines, row, column) = self.usual.take().expect("the other screen was shown");
                (self.lines, self.row, self.column) = (lines, row, column);
                self.resize(self.columns, self.rows);
            }
            _ => panic!("unknown sequence: ESC [ {arguments} {}", char::from(end)),
        }
    }
}

#[test]
fn it_shows_what_a_terminal_shows() {
    let mut screen = Screen::new(10, 3);
    screen.feed(b"0123456789\x1b[Kx\r\nab\x08c\r\n\xc3");
    screen.feed("ü".get(1..).unwrap_or("").as_bytes());
    screen.feed(b"\xbc\x1b[1");
    screen.feed(b";31mred\x1b[0m\r\x1b[2C!");
    assert_eq!(screen.text(), "x\nac\nür!d");
    screen.feed(b"\x1b[?1049h\x1b[Hfull");
    assert!(screen.is_other());
    assert_eq!((screen.text().as_str(), screen.to_cursor().as_str()), ("full", "full"));
    screen.feed(b"\x1b[?1049l\n\x1b[2Jend");
    assert_eq!(screen.text(), "\n\n   end");
}
