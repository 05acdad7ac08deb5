//! What the programs use. The kernel is asked when somebody asks us, about each process at most once a second, and by a thread
//! of its own that ends at once: neither the dispatcher nor the io thread waits for `/proc`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::command::answered;
use super::step::{Context, Step};
use crate::api::{Answer, Query, Reply, Request, StatusRow, WallClock};
use crate::codec::http::{self, Response, Status};
use crate::process::Moment;
use crate::sys::proc::{ProcDirectory, ProcessUsage};
use crate::util::sorted::SortedMap;

/// Between two looks at a process.
const PACE: Duration = Duration::from_secs(1);

/// So many are asked about by two threads.
const MANY: usize = 200;

/// Only touched pages count.
const STACK: usize = 128 * 1024;

/// What the kernel has told of a process, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub at: Moment,
    pub usage: ProcessUsage,
}

/// The last look at each process, by its id.
static LOOKS: Mutex<Option<SortedMap<i32, Look>>> = Mutex::new(None);

/// What the process of each row uses; `None` where there is none, or the kernel does not tell.
///
/// What was looked at for somebody else is used for this one too, who may see other programs.
pub(super) fn looks(rows: &[StatusRow], now: Moment) -> Vec<Option<Look>> {
    let mut looks = LOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = looks.get_or_insert_default();
    known.retain(|_, look| now.saturating_duration_since(look.at) < PACE);
    let pids: Vec<i32> = rows.iter().filter_map(|row| row.pid).filter(|pid| !known.contains_key(pid)).collect();
    known.extend(look(&pids, now));
    rows.iter().map(|row| known.get(&row.pid?).copied()).collect()
}

/// Asks the kernel about each of these. About many two threads ask: it takes 9 µs for each process.
fn look(pids: &[i32], now: Moment) -> Vec<(i32, Look)> {
    let ask = |pids: &[i32]| -> Vec<(i32, Look)> {
        let Some(proc) = ProcDirectory::open() else { return Vec::new() };
        pids.iter().filter_map(|pid| Some((*pid, Look { at: now, usage: proc.usage(*pid)? }))).collect()
    };
    let Some((one, other)) = pids.split_at_checked(pids.len() / 2).filter(|_| pids.len() >= MANY) else {
        return ask(pids);
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("web".to_owned()).stack_size(STACK);
        let helper = thread.spawn_scoped(scope, || ask(other));
        let mut all = ask(one);
        // Without a thread, or where it has failed, nobody else asks.
        let rest = helper.ok().and_then(|helper| helper.join().ok());
        all.extend(rest.unwrap_or_else(|| ask(other)));
        all
    })
}

/// `GET /api/v1/usage`
pub(super) fn usage(_: &http::Request, _: Context) -> Step {
    let status = Request::Query(Query::Status { name: None, offset: 0 });
    Step::ask(status, move |answer: Answer, context| match answer {
        Ok(Reply::Status { rows, now, .. }) => {
            Step::Work(Box::new(move || Step::Respond(document(&rows, &looks(&rows, now), context.clock))))
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

fn document(rows: &[StatusRow], looks: &[Option<Look>], clock: WallClock) -> Response {
    let used = |(row, look): (&'_ StatusRow, &Option<Look>)| -> Option<String> {
        let Look { at, usage } = (*look)?;
        let used = Used {
            name: &row.program.name,
            pid: row.pid?,
            at: clock.stamp(at),
            cpu: usage.cpu.as_secs_f64(),
            memory: usage.resident,
        };
        serde_json::to_string(&used).ok()
    };
    let processes: Vec<String> = rows.iter().zip(looks).filter_map(used).collect();
    let text = format!(r#"{{"status":"ok","processes":[{}]}}"#, processes.join(","));
    Response::json(Status::Ok, text.into_bytes())
}
