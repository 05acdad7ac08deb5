//! Answers that come bit by bit: output as it was written, and server-sent events.

use serde_json::{Value, json};

use super::command::answered;
use super::step::Stream;
use crate::codec::http::{Head, StreamHead};
use crate::control::feed::{FeedItem, Item};
use crate::util::glob;
use crate::util::plural::{choose, counted};
use crate::util::sorted::SortedSet;

/// What a client of server-sent events skips.
const COMMENT: &[u8] = b":\n\n";

/// The type of server-sent events.
const EVENTS: &str = "text/event-stream";

/// Transitions that are told again to who comes back: more than are remembered of most.
pub(super) const REPLAYED: u64 = 1000;

/// The output of a program, in the form that the client accepts.
pub(super) fn output(head: &Head, is_endless: bool) -> Stream {
    let as_events = head.accepts(EVENTS);
    let content_type = match (as_events, head.accepts("application/octet-stream")) {
        (true, _) => EVENTS,
        (false, true) => "application/octet-stream",
        (false, false) => "text/plain; charset=utf-8",
    };
    Stream {
        head: head_of(content_type).with("Accept-Ranges", "bytes"),
        encode: Box::new(move |item, _| match item {
            Item::Output { bytes, lost } if as_events => output_event(bytes, *lost),
            Item::Output { bytes, lost: 0 } => bytes.clone(),
            Item::Output { bytes, lost } => {
                let (lost, were) = (counted(*lost, "byte"), choose(*lost, "was", "were"));
                [format!("\n==> {lost} {were} lost <==\n").as_bytes(), bytes.as_slice()].concat()
            }
            Item::Begun | Item::Event { .. } | Item::End { .. } => Vec::new(),
            // Never sent to who speaks HTTP.
            #[cfg(feature = "attach")]
            Item::Attached { .. } | Item::Written { .. } => Vec::new(),
        }),
        is_endless,
        keep_alive: as_events.then_some(COMMENT),
        refused: Box::new(answered),
    }
}

/// Nothing between us and the client may keep what it is to see at once.
fn head_of(content_type: &'static str) -> StreamHead {
    StreamHead { content_type, fields: vec![("X-Accel-Buffering", "no".into())] }
}

/// A piece of output as an event; what is no UTF-8 is replaced, and that is said.
fn output_event(bytes: &[u8], lost: u64) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut data = json!({ "text": text });
    if matches!(text, std::borrow::Cow::Owned(_)) {
        data["lossy"] = true.into();
    }
    if lost > 0 {
        data["lost"] = lost.into();
    }
    format!("event: output\ndata: {data}\n\n").into_bytes()
}

/// Where a client that comes back has been. Its `Last-Event-ID` is the daemon's process id and the moment of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resumed {
    /// With this daemon, at this moment.
    Here(u64),
    /// With another one, or nobody knows where.
    Elsewhere,
}

impl Resumed {
    /// As the client tells; `None`: it is new.
    pub(super) fn of(head: &Head) -> Option<Resumed> {
        Some(Resumed::parse(head.text("last-event-id")?))
    }

    fn parse(id: &str) -> Resumed {
        let parts = id.split_once('-').filter(|(pid, _)| *pid == std::process::id().to_string());
        parts.and_then(|(_, at)| at.parse().ok()).map_or(Resumed::Elsewhere, Resumed::Here)
    }
}

/// What happens, of these names alone if any are named; patterns are allowed.
pub(super) fn events(names: Vec<String>, resumed: Option<Resumed>) -> Stream {
    let mut writer = EventWriter { names, resumed, reached_back: SortedSet::default(), told_gap: false };
    Stream {
        head: head_of(EVENTS),
        encode: Box::new(move |item, _| writer.encode(item)),
        is_endless: true,
        keep_alive: Some(COMMENT),
        refused: Box::new(answered),
    }
}

struct EventWriter {
    names: Vec<String>,
    resumed: Option<Resumed>,
    /// Programs of which something is remembered that the client has seen: nothing of them is missing.
    reached_back: SortedSet<String>,
    told_gap: bool,
}

impl EventWriter {
    fn encode(&mut self, item: &Item) -> Vec<u8> {
        match item {
            Item::Begun if self.resumed == Some(Resumed::Elsewhere) => {
                [b": supervice\n\n".as_slice(), &gap(Value::Null)].concat()
            }
            Item::Begun => b": supervice\n\n".to_vec(),
            Item::Event { event, lost } => self.event(event, *lost),
            Item::End { .. } | Item::Output { .. } => Vec::new(),
            // Never sent to who speaks HTTP.
            #[cfg(feature = "attach")]
            Item::Attached { .. } | Item::Written { .. } => Vec::new(),
        }
    }

    fn event(&mut self, item: &FeedItem, lost: u64) -> Vec<u8> {
        let mut text = if lost > 0 { gap(lost.into()) } else { Vec::new() };
        let Some((name, at)) = item.subject() else { return text };
        if let (FeedItem::Past(_), Some(Resumed::Here(last))) = (item, self.resumed) {
            if at <= last {
                self.reached_back.insert(name.to_owned());
                return text;
            }
            if !self.reached_back.contains(name) && !std::mem::replace(&mut self.told_gap, true) {
                // What came before may have been forgotten.
                text.extend(gap(Value::Null));
            }
        }
        if !self.names.is_empty() && !self.names.iter().any(|pattern| glob::matches(pattern, name)) {
            return text;
        }
        let event = item.written();
        let (pid, kind, data) = (std::process::id(), event.kind, &event.json);
        text.extend(format!("id: {pid}-{at}\nevent: {kind}\ndata: {data}\n\n").into_bytes());
        text
    }
}

/// Events are missing: so many, or nobody knows whether any.
fn gap(lost: Value) -> Vec<u8> {
    format!("event: gap\ndata: {}\n\n", json!({ "lost": lost })).into_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::HistoryRow;
    use crate::models::ProgramConfig;
    use crate::process::{Cause, Moment, ProcessState};

    fn past(name: &str, at: u64) -> Item {
        let event = FeedItem::Past(HistoryRow {
            program: Arc::new(ProgramConfig::new(name, "true")),
            at: Moment::from_nanos(at),
            from: ProcessState::Starting,
            to: ProcessState::Running,
            pid: None,
            cause: Cause::Executed,
        });
        Item::Event { event, lost: 0 }
    }

    fn told(stream: &mut Stream, item: &Item) -> String {
        String::from_utf8((stream.encode)(item, true)).expect("text")
    }

    #[test]
    fn an_event_has_its_name_and_an_id_and_other_names_are_left_out() {
        let mut stream = events(vec!["w*".to_owned()], None);
        assert_eq!(told(&mut stream, &Item::Begun), ": supervice\n\n");
        let text = told(&mut stream, &past("web", 7));
        let begin = format!("id: {}-7\nevent: PROCESS_STATE_RUNNING\ndata: {{\"type\":", std::process::id());
        assert!(text.starts_with(&begin) && text.ends_with("}\n\n"), "{text}");
        assert_eq!(told(&mut stream, &past("db", 8)), "");
    }

    #[test]
    fn who_comes_back_is_told_what_it_has_missed_and_whether_something_may_be_missing() {
        let here = Resumed::parse(&format!("{}-10", std::process::id()));
        assert_eq!(
            (here, Resumed::parse("0-10"), Resumed::parse("x")),
            (Resumed::Here(10), Resumed::Elsewhere, Resumed::Elsewhere)
        );
        let mut stream = events(Vec::new(), Some(here));
        assert_eq!(told(&mut stream, &past("web", 10)), "", "it has seen that");
        assert!(told(&mut stream, &past("web", 11)).starts_with("id: "), "nothing of web is missing");
        let text = told(&mut stream, &past("db", 12));
        assert!(text.starts_with("event: gap\ndata: {\"lost\":null}\n\nid: "), "{text}");
        assert!(!told(&mut stream, &past("db", 13)).contains("gap"), "that is said once");
        let mut stream = events(Vec::new(), Some(Resumed::Elsewhere));
        assert!(told(&mut stream, &Item::Begun).contains("event: gap\n"));
        let Item::Event { event, .. } = past("web", 1) else { panic!("an event") };
        let text = told(&mut events(Vec::new(), None), &Item::Event { event, lost: 3 });
        assert!(text.starts_with("event: gap\ndata: {\"lost\":3}\n\nid: "), "{text}");
    }

    #[test]
    fn output_is_bytes_or_an_event_that_says_what_was_replaced() {
        let event = String::from_utf8(output_event(b"a\xffb\n", 2)).expect("text");
        assert_eq!(event, "event: output\ndata: {\"lossy\":true,\"lost\":2,\"text\":\"a\u{fffd}b\\n\"}\n\n");
        assert_eq!(output_event(b"a", 0), b"event: output\ndata: {\"text\":\"a\"}\n\n");
    }
}
