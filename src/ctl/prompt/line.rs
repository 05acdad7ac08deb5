//! The line that is being typed: pure, without a terminal.

use super::super::keys::Key;
use crate::config::split_command;
use crate::util::width::char_columns;

/// Nobody types more; what is pasted beyond it is left out.
const MAX_LINE_CHARS: usize = 4096;

/// Has a key changed anything?
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Edited {
    Yes,
    No,
}

/// The line, the cursor in it, and the lines before.
pub(super) struct Line<'p> {
    text: Vec<char>,
    /// Characters before the cursor.
    at: usize,
    past: &'p [String],
    /// How many lines back we are; 0: in the new one.
    back: usize,
    /// The new line, while an old one is shown.
    kept: Vec<char>,
    /// What was cut last.
    cut: Vec<char>,
}

impl<'p> Line<'p> {
    pub fn new(past: &'p [String]) -> Self {
        Line { text: Vec::new(), at: 0, past, back: 0, kept: Vec::new(), cut: Vec::new() }
    }

    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn go_to_end(&mut self) {
        self.at = self.text.len();
    }

    pub fn edit(&mut self, key: Key) -> Edited {
        let end = self.text.len();
        match key {
            Key::Char(c) if end < MAX_LINE_CHARS && !c.is_control() => {
                self.text.insert(self.at, c);
                self.at += 1;
            }
            Key::Backspace if self.at > 0 => self.remove(self.at - 1, self.at),
            Key::Delete | Key::Ctrl('d') if self.at < end => self.remove(self.at, self.at + 1),
            Key::Left | Key::Ctrl('b') if self.at > 0 => self.at -= 1,
            Key::Right | Key::Ctrl('f') if self.at < end => self.at += 1,
            Key::Home | Key::Ctrl('a') => self.at = 0,
            Key::End | Key::Ctrl('e') => self.at = end,
            Key::Ctrl('u') => self.cut(0, self.at),
            Key::Ctrl('k') => self.cut(self.at, end),
            Key::Ctrl('w') => self.cut(self.word_before(), self.at),
            Key::Ctrl('y') if end + self.cut.len() <= MAX_LINE_CHARS => {
                self.text.splice(self.at..self.at, self.cut.iter().copied());
                self.at += self.cut.len();
            }
            Key::Up | Key::Ctrl('p') if self.back < self.past.len() => self.go_back(self.back + 1),
            Key::Down | Key::Ctrl('n') if self.back > 0 => self.go_back(self.back - 1),
            _ => return Edited::No,
        }
        Edited::Yes
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.drain(from..to);
        self.at = from;
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.cut = self.text.drain(from..to).collect();
        self.at = from;
    }

    fn word_before(&self) -> usize {
        let before = self.text.get(..self.at).unwrap_or_default();
        let end = before.iter().rposition(|c| *c != ' ').map_or(0, |last| last + 1);
        before.iter().take(end).rposition(|c| *c == ' ').map_or(0, |space| space + 1)
    }

    fn go_back(&mut self, back: usize) {
        if self.back == 0 {
            self.kept = std::mem::take(&mut self.text);
        }
        let old = back.checked_sub(1).and_then(|back| self.past.iter().rev().nth(back));
        self.text = old.map_or_else(|| self.kept.clone(), |old| old.chars().collect());
        self.back = back;
        self.go_to_end();
    }

    /// The part of the line that fits into so many columns, and the column of the cursor.
    pub fn window(&self, room: usize) -> (String, usize) {
        let width = |chars: &[char]| chars.iter().map(|c| char_columns(*c)).sum::<usize>();
        let before = self.text.get(..self.at).unwrap_or_default();
        let mut from = 0;
        while width(before.get(from..).unwrap_or_default()) > room {
            from += 1;
        }
        let cursor = width(before.get(from..).unwrap_or_default());
        let mut taken = 0;
        let fits = |c: &&char| {
            taken += char_columns(**c);
            taken <= room
        };
        (self.text.iter().skip(from).take_while(fits).collect(), cursor)
    }

    /// Where the word begins that the cursor stands behind: after the last space that no quote holds.
    fn word_start(&self) -> usize {
        let mut quote = None;
        let mut start = 0;
        let mut escaped = false;
        for (number, c) in self.text.iter().take(self.at).enumerate() {
            match (quote, c) {
                _ if escaped => escaped = false,
                (None | Some('"'), '\\') => escaped = true,
                (None, '\'' | '"') => quote = Some(*c),
                (Some(open), c) if open == *c => quote = None,
                (None, ' ') => start = number + 1,
                (None | Some(_), _) => {}
            }
        }
        start
    }

    /// The words up to the cursor, the last one as far as it is typed (empty behind a space); `None` where that is no
    /// sensible line.
    pub fn words_to_cursor(&self) -> Option<Vec<String>> {
        let start = self.word_start();
        let before: String = self.text.iter().take(start).collect();
        let open: String = self.text.get(start..self.at)?.iter().collect();
        let mut words = if before.trim().is_empty() { Vec::new() } else { split_command(&before).ok()? };
        if words.first().is_some_and(|first| first == "supervicectl") {
            words.remove(0);
        }
        // A quote may still be open.
        let closed = ["", "'", "\""].iter().find_map(|end| split_command(&format!("{open}{end}")).ok());
        words.push(closed.and_then(|mut words| words.pop()).unwrap_or_default());
        Some(words)
    }

    /// Puts another word in the place of the one that the cursor stands behind.
    pub fn replace_word(&mut self, word: &str, is_whole: bool) {
        let start = self.word_start();
        // Half a quoted word stays open, so that one can go on.
        let word = if is_whole { word } else { word.strip_suffix('\'').unwrap_or(word) };
        let new: Vec<char> = word.chars().chain(is_whole.then_some(' ')).collect();
        if self.text.len() + new.len() > MAX_LINE_CHARS {
            return;
        }
        self.text.splice(start..self.at, new.iter().copied());
        self.at = start + new.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed<'p>(line: &mut Line<'p>, text: &str) {
        text.chars().for_each(|c| assert_eq!(line.edit(Key::Char(c)), Edited::Yes));
    }

    #[test]
    fn keys_edit_the_line() {
        let past = ["status".to_owned(), "stop web".to_owned()];
        let mut line = Line::new(&past);
        typed(&mut line, "start wüb db");
        for key in [Key::Ctrl('w'), Key::Backspace, Key::Left, Key::Left, Key::Delete] {
            assert_eq!(line.edit(key), Edited::Yes);
        }
        typed(&mut line, "e");
        assert_eq!(line.text(), "start web");
        line.edit(Key::Up);
        line.edit(Key::Up);
        assert_eq!((line.text().as_str(), line.edit(Key::Up)), ("status", Edited::No));
        line.edit(Key::Down);
        assert_eq!(line.text(), "stop web");
        line.edit(Key::Down);
        assert_eq!(line.text(), "start web", "what was being typed is still there");
        line.edit(Key::Home);
        line.edit(Key::Ctrl('k'));
        assert!(line.is_empty() && line.edit(Key::Backspace) == Edited::No);
        line.edit(Key::Ctrl('y'));
        assert_eq!(line.text(), "start web");
    }

    #[test]
    fn words_are_a_shells_and_the_last_is_open() {
        for (text, words) in [
            ("", &[""][..]),
            ("sto", &["sto"]),
            ("stop ", &["stop", ""]),
            ("stop 'my j", &["stop", "my j"]),
            ("stop my\\ j", &["stop", "my j"]),
            ("supervicectl stop w", &["stop", "w"]),
        ] {
            let mut line = Line::new(&[]);
            typed(&mut line, text);
            assert_eq!(line.words_to_cursor().expect("words"), words, "{text}");
        }
        let mut line = Line::new(&[]);
        typed(&mut line, "stop 'my j");
        line.replace_word("'my job'", true);
        assert_eq!(line.text(), "stop 'my job' ");
    }

    #[test]
    fn a_long_line_is_seen_around_the_cursor() {
        let mut line = Line::new(&[]);
        typed(&mut line, "0123456789データ");
        assert_eq!(line.window(80), ("0123456789データ".to_owned(), 16));
        assert_eq!(line.window(8), ("89データ".to_owned(), 8));
        line.edit(Key::Home);
        assert_eq!(line.window(8), ("01234567".to_owned(), 0));
    }
}
