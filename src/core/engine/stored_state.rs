//! What outlives the daemon where it has a `state_dir`: which programs are disabled, which instances of templates were
//! enabled, how many instances somebody has asked for, and until which time schedules were followed. Each of the four
//! is a small file of lines, written as a whole whenever it changes, and never otherwise.

use serde::{Deserialize, Serialize};

use super::Engine;
use super::ledger::ReplyToken;
use super::timers::TimerKey;
use crate::api::{Persistence, Reply};
use crate::config::{Additions, ScaleOverride};
use crate::core::effect::{Effect, OutputJob, StateFile};
use crate::models::Catchup;
use crate::util::sorted::{SortedMap, SortedSet};

/// The first line of each file, before its name. A file of another version is not used.
const FIRST_LINE: &str = "supervice state 1 ";
/// The last line, before the number of lines between the two: a file that was torn lacks it.
const LAST_LINE: &str = "end ";

/// How many instances somebody wants in place of those of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredScale {
    /// How many are wanted …
    pub instances: u32,
    /// … as long as the file says this.
    pub in_file: u32,
}

/// See the [module](self).
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredState {
    /// Programs that only a client starts.
    pub(super) disabled: SortedSet<String>,
    /// Instances of templates that stand in no file, and are to be there with every daemon.
    pub(super) instances: SortedSet<String>,
    /// Programs with other `numprocs` than in the file.
    pub(super) scales: SortedMap<String, StoredScale>,
    /// Until when times of a schedule with `schedule_catchup` have been followed, in seconds since 1970.
    pub(super) times: SortedMap<String, i64>,
}

impl StoredState {
    /// What is added to the file because of it.
    pub(crate) fn additions(&self) -> Additions {
        let scales = self.scales.iter().map(|(program, scale)| ScaleOverride {
            program: program.clone(),
            in_file: Some(scale.in_file),
            instances: scale.instances,
            at_most: scale.instances,
        });
        Additions { scales: scales.collect(), instances: self.instances.iter().cloned().collect() }
    }

    /// What a file holds, line by line.
    fn text(&self, file: StateFile) -> String {
        let lines: Vec<String> = match file {
            StateFile::Disabled => self.disabled.iter().cloned().collect(),
            StateFile::Instances => self.instances.iter().cloned().collect(),
            StateFile::Scales => {
                let scales = self.scales.iter();
                scales.map(|(name, scale)| format!("{} {} {name}", scale.instances, scale.in_file)).collect()
            }
            StateFile::Times => self.times.iter().map(|(name, time)| format!("{time} {name}")).collect(),
        };
        let mut text = format!("{FIRST_LINE}{}\n", file.name());
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&format!("{LAST_LINE}{}\n", lines.len()));
        text
    }

    /// Takes in what a file holds, or nothing of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(&mut self, file: StateFile, text: &str) -> Result<(), &'static str> {
        let Some(rest) = text.strip_prefix(FIRST_LINE) else { return Err("it is no state of this version") };
        let mut lines: Vec<&str> = rest.split('\n').collect();
        if lines.first() != Some(&file.name()) {
            return Err("it is another file of the state");
        }
        let is_whole = match lines.as_slice() {
            [_, between @ .., last, ""] => {
                last.strip_prefix(LAST_LINE).and_then(|count| count.parse().ok()) == Some(between.len())
            }
            _ => false,
        };
        if !is_whole {
            return Err("it is torn");
        }
        lines.truncate(lines.len() - 2);
        let lines = || lines.iter().skip(1).copied();
        match file {
            StateFile::Disabled => self.disabled = lines().map(str::to_owned).collect(),
            StateFile::Instances => self.instances = lines().map(str::to_owned).collect(),
            StateFile::Scales => self.scales = lines().map(scale).collect::<Option<_>>().ok_or("it is damaged")?,
            StateFile::Times => self.times = lines().map(number).collect::<Option<_>>().ok_or("it is damaged")?,
        }
        Ok(())
    }
}

/// `NUMBER REST`
fn number<N: std::str::FromStr>(line: &str) -> Option<(String, N)> {
    let (number, rest) = line.split_once(' ')?;
    Some((rest.to_owned(), number.parse().ok()?))
}

/// `INSTANCES IN_FILE NAME`
fn scale(line: &str) -> Option<(String, StoredScale)> {
    let (rest, instances) = number(line)?;
    let (name, in_file) = number(&rest)?;
    Some((name, StoredScale { instances, in_file }))
}

impl Engine {
    /// What an earlier daemon has kept. To be told before anything else.
    pub(crate) fn restore(&mut self, kept: StoredState) {
        self.additions = kept.additions();
        self.stored = kept;
        self.note_scaled_away();
        for id in self.registry.ids() {
            if let Some(entry) = self.registry.get_mut(id) {
                entry.disabled = self.stored.disabled.contains(entry.name());
            }
        }
    }

    /// Has this written as it is now.
    pub(super) fn keep(&mut self, file: StateFile) {
        if self.settings.state_dir.is_some() {
            self.effects.push_back(Effect::Keep { file, text: self.stored.text(file).into() });
        }
    }

    /// Answers once what was to be kept is on the disk; where it can't be, with that.
    pub(super) fn reply_when_kept(&mut self, token: ReplyToken, file: StateFile, reply: Reply) {
        match self.settings.state_dir {
            Some(_) => self.delegate(token, OutputJob::Keep { file, reply: Box::new(reply) }),
            None => self.reply(token, reply.kept(Persistence::NoDirectory)),
        }
    }

    /// The times of a schedule have been followed until then.
    pub(super) fn keep_time(&mut self, name: &str, until: i64) {
        // A clock that was never set tells nothing; the time before it stays.
        if until < CLOCK_IS_SET || self.settings.state_dir.is_none() {
            return;
        }
        if self.stored.times.insert(name.to_owned(), until) == Some(until) {
            return;
        }
        // Behind all that is due by now: each writing has the times of all, and many may come in the same minute.
        self.timers.set(TimerKey::KeepTimes, Some(self.now));
    }

    /// Has the times written that have changed.
    pub(super) fn keep_times(&mut self) {
        let catches_up = |name: &String| {
            let entry = self.registry.find(name).and_then(|id| self.registry.get(id));
            entry.is_some_and(|entry| entry.config().schedule.catchup == Catchup::Once)
        };
        self.stored.times.retain(|name, _| catches_up(name));
        self.keep(StateFile::Times);
    }
}

/// 2024, in seconds since 1970: no clock that is right shows less.
const CLOCK_IS_SET: i64 = 1_704_067_200;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> StoredState {
        let mut kept = StoredState::default();
        kept.disabled.extend(["web", "a b"].map(str::to_owned));
        kept.instances.insert("worker@us".to_owned());
        kept.scales.insert("w x".to_owned(), StoredScale { instances: 5, in_file: 2 });
        kept.times.extend([("job".to_owned(), 1_800_000_000), ("long past".to_owned(), -5)]);
        kept
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut read = StoredState::default();
        for file in StateFile::ALL {
            assert_eq!(read.read(file, &kept().text(file)), Ok(()));
            assert_eq!(
                StoredState::default().read(file, &StoredState::default().text(file)),
                Ok(()),
                "nothing to keep"
            );
        }
        assert_eq!(read, kept());
        assert_eq!(kept().text(StateFile::Scales), "supervice state 1 scales\n5 2 w x\nend 1\n");
    }

    #[test]
    fn a_file_that_is_torn_anywhere_changes_nothing() {
        for file in StateFile::ALL {
            let text = kept().text(file);
            for length in 0..text.len() {
                let mut read = StoredState::default();
                assert!(read.read(file, &text[..length]).is_err(), "{length} bytes of {text}");
                assert_eq!(read, StoredState::default());
            }
        }
    }

    #[test]
    fn what_is_foreign_is_said_to_be() {
        let read = |file, text: &str| StoredState::default().read(file, text).expect_err("refused");
        assert_eq!(read(StateFile::Times, "supervice state 2 times\nend 0\n"), "it is no state of this version");
        assert_eq!(read(StateFile::Times, "\0\u{fffd}"), "it is no state of this version");
        assert_eq!(read(StateFile::Times, "supervice state 1 disabled\nend 0\n"), "it is another file of the state");
        assert_eq!(read(StateFile::Times, "supervice state 1 times\nsoon job\nend 1\n"), "it is damaged");
        assert_eq!(read(StateFile::Scales, "supervice state 1 scales\n5 web\nend 1\n"), "it is damaged");
        assert_eq!(read(StateFile::Times, "supervice state 1 times\n5 job\nend 2\n"), "it is torn");
    }
}
