//! What the programs use. The kernel is asked when somebody asks us, about each process at most once a second, and by a
//! thread of its own that ends at once: neither the dispatcher nor the io thread waits for `/proc`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::command::answered;
use super::step::{Context, Step};
use crate::api::{Answer, Query, Reply, Request, StatusRow, WallClock};
use crate::codec::http::{self, Response, Status};
use crate::process::Moment;
use crate::sys;
use crate::sys::proc::{ProcDirectory, ProcessUsage};
use crate::util::sorted::SortedMap;

/// Between two looks at a process.
const MIN_SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// What has not run since a look uses what it used then, and need not be asked for it: for so long, because the kernel
/// may have taken memory from it meanwhile.
const FIGURES_KEPT_FOR: Duration = Duration::from_secs(60);

/// From this number of processes on, two threads ask the kernel.
const MANY: usize = 200;

/// How many processes each of them takes at a time.
const AT_A_TIME: usize = 16;

/// Only touched pages count.
const STACK: usize = 128 * 1024;

/// What the kernel has told of a process, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsageSample {
    pub at: Moment,
    pub usage: ProcessUsage,
    /// When all of it was asked for; since then it has not run.
    asked: Moment,
}

impl UsageSample {
    /// What is so now.
    fn new(proc: &ProcDirectory, pid: i32, now: Moment, last: Option<&UsageSample>) -> Option<UsageSample> {
        // A process that runs has another CPU time each time, and so has another one of the same number.
        let unchanged = last.filter(|last| now.saturating_duration_since(last.asked) < FIGURES_KEPT_FOR);
        if let Some(last) = unchanged.filter(|last| sys::time::cpu_time(pid) == Some(last.usage.cpu)) {
            return Some(UsageSample { at: now, ..*last });
        }
        Some(UsageSample { at: now, usage: proc.usage(pid)?, asked: now })
    }
}

/// The last look at each process, by its id.
static SAMPLES: Mutex<Option<SortedMap<i32, UsageSample>>> = Mutex::new(None);

/// What the process of each row uses; `None` where there is none, or the kernel does not tell.
///
/// What was looked at for somebody else is used for this one too, who may see other programs.
pub(super) fn samples(rows: &[StatusRow], now: Moment) -> Vec<Option<UsageSample>> {
    samples_while(rows, now, || ()).0
}

/// The same, while something else is done here that does not need it.
pub(super) fn samples_while<T>(
    rows: &[StatusRow],
    now: Moment,
    meanwhile: impl FnOnce() -> T,
) -> (Vec<Option<UsageSample>>, T) {
    let mut samples = SAMPLES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = samples.get_or_insert_default();
    known.retain(|_, sample| now.saturating_duration_since(sample.asked) < FIGURES_KEPT_FOR);
    let is_old =
        |pid: &i32| known.get(pid).is_none_or(|sample| now.saturating_duration_since(sample.at) >= MIN_SAMPLE_INTERVAL);
    let pids: Vec<i32> = rows.iter().filter_map(|row| row.pid).filter(is_old).collect();
    let (new, done) = sample(&pids, known, now, meanwhile);
    known.extend(new);
    // A process that has ended meanwhile has no figures.
    let fresh = |sample: &&UsageSample| now.saturating_duration_since(sample.at) < MIN_SAMPLE_INTERVAL;
    (rows.iter().map(|row| known.get(&row.pid?).filter(fresh).copied()).collect(), done)
}

/// Asks the kernel about each of these. About many two threads ask, each for as long as somebody is left: it takes
/// 11 µs for each process that has run since the last time.
fn sample<T>(
    pids: &[i32],
    last: &SortedMap<i32, UsageSample>,
    now: Moment,
    meanwhile: impl FnOnce() -> T,
) -> (Vec<(i32, UsageSample)>, T) {
    let next = AtomicUsize::new(0);
    let ask = || -> Vec<(i32, UsageSample)> {
        let Some(proc) = ProcDirectory::open() else { return Vec::new() };
        let mut all = Vec::new();
        while let Some(some) = pids.chunks(AT_A_TIME).nth(next.fetch_add(1, Ordering::Relaxed)) {
            all.extend(some.iter().filter_map(|pid| Some((*pid, UsageSample::new(&proc, *pid, now, last.get(pid))?))));
        }
        all
    };
    if pids.len() < MANY {
        let done = meanwhile();
        return (ask(), done);
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("web".to_owned()).stack_size(STACK);
        let helper = thread.spawn_scoped(scope, ask);
        let done = meanwhile();
        // Without a helper this one asks about all of them.
        let mut all = ask();
        all.extend(helper.ok().and_then(|helper| helper.join().ok()).unwrap_or_default());
        (all, done)
    })
}

/// `GET /api/v1/usage`
pub(super) fn usage(_: &http::Request, _: Context) -> Step {
    let status = Request::Query(Query::Status { name: None, offset: 0 });
    Step::ask(status, move |answer: Answer, context| match answer {
        Ok(Reply::Status { rows, now, .. }) => {
            Step::Work(Box::new(move || Step::Respond(document(&rows, &samples(&rows, now), context.clock))))
        }
        other => answered(other, context),
    })
}

#[derive(Serialize)]
struct Used<'a> {
    name: &'a str,
    pid: i32,
    /// Seconds since 1970.
    at: f64,
    /// Seconds of its main process.
    cpu: f64,
    /// Bytes of its main process.
    memory: u64,
}

fn document(rows: &[StatusRow], samples: &[Option<UsageSample>], clock: WallClock) -> Response {
    let used = |(row, sample): (&'_ StatusRow, &Option<UsageSample>)| -> Option<String> {
        let UsageSample { at, usage, .. } = (*sample)?;
        let used = Used {
            name: &row.program.name,
            pid: row.pid?,
            at: clock.stamp(at),
            cpu: usage.cpu.as_secs_f64(),
            memory: usage.resident,
        };
        serde_json::to_string(&used).ok()
    };
    let processes: Vec<String> = rows.iter().zip(samples).filter_map(used).collect();
    let text = format!(r#"{{"status":"ok","processes":[{}]}}"#, processes.join(","));
    Response::json(Status::Ok, text.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_what_has_run_since_the_last_look_is_asked_for_all_again() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("a child");
        let pid = child.id().cast_signed();
        let proc = ProcDirectory::open().expect("/proc");
        let at = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000);
        let rested = |from: Option<&UsageSample>, now| {
            let sample = UsageSample::new(&proc, pid, now, from).expect("it lives");
            assert_eq!(sample.at, now);
            sample
        };
        // It may be on its way into its sleep.
        let begin = std::time::Instant::now();
        let (first, later) = loop {
            let first = rested(None, at(100));
            let later = rested(Some(&first), at(159));
            if later.asked == at(100) {
                break (first, later);
            }
            assert!(begin.elapsed() < std::time::Duration::from_secs(60), "it runs on and on");
        };
        assert_eq!(later.usage, first.usage);
        assert_eq!(rested(Some(&later), at(160)).asked, at(160), "the kernel may have taken memory from it");
        child.kill().and_then(|()| child.wait()).expect("it is ours");
        assert!(UsageSample::new(&proc, pid, at(161), Some(&later)).is_none(), "it has gone");

        let own = std::process::id().cast_signed();
        let first = UsageSample::new(&proc, own, at(100), None).expect("we live");
        assert_eq!(UsageSample::new(&proc, own, at(102), Some(&first)).expect("we live").asked, at(102), "we run");
    }
}
