//! What a start costs in a daemon that also checks the health of many programs: nothing more, if spawning
//! depends neither on the number of threads nor on the memory of the daemon.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::clock::{milliseconds, monotonic_ns};
use crate::error::{Context, Result};
use crate::frames::Connection;
use crate::measure::{Kind, Measure, Sample, repeat};
use crate::peers::Supervice;
use crate::running::Running;
use crate::site::Site;

const PROBE: &str = "probe";

/// Starts and stops one program again and again, in a daemon with as many others as `site` says, which are
/// health-checked or not.
pub fn run(site: Site, checked: bool, budget: Duration) -> Result<Vec<Sample>> {
    let ours = Supervice::ours();
    let n = site.n;
    let each = if checked { health_check()? } else { String::new() };
    let mut configuration = ours.configuration(&site, &each);
    // RUNNING as soon as exec has succeeded, so that the answer is not delayed by `startsecs`.
    let _ = write!(
        configuration,
        "[program:{PROBE}]\ncommand = {}\nautostart = false\nautorestart = false\nstartsecs = 0\n",
        site.command_line()
    );
    let command = ours.run(&site, &configuration)?;
    let mut running = Running::launch(site, command)?;
    running.started(n)?;
    running.let_age(Duration::from_secs(3));
    let mut connection = Connection::open(&Supervice::socket(&running.site))?;
    let request = |command: &str| serde_json::json!({ "command": command, "name": PROBE });
    let mut first_instruction = Vec::new();
    let answers = repeat(budget, || {
        Some((|| {
            let began_ns = monotonic_ns();
            connection.ask(&request("start"))?;
            let answered_ns = monotonic_ns();
            first_instruction.push(milliseconds(began_ns, running.next_record()?));
            connection.ask(&request("stop"))?;
            Ok(milliseconds(began_ns, answered_ns))
        })())
    })?;
    running.stop(Signal::SIGTERM)?;
    let among = if checked { format!("{n} health-checked") } else { format!("{n} unchecked") };
    let measure = |what: &str, times: Vec<f64>| {
        let measure = Measure::new(Kind::Spawn, format!("spawn among {among}: request to {what}"), "ms");
        times.into_iter().map(move |time| (measure.clone(), time))
    };
    Ok(measure("answer", answers).chain(measure("first instruction", first_instruction)).collect())
}

/// One failed check and then none for an hour: the machinery is there, and it rests.
fn health_check() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot find a free port")?;
    let port = listener.local_addr().context("cannot find a free port")?.port();
    Ok(format!(
        "healthcheck_type = tcp\nhealthcheck_port = {port}\nhealthcheck_start_period = 0\n\
         healthcheck_interval = 3600\nhealthcheck_retries = 100\n"
    ))
}
