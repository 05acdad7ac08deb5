//! The init of a whole machine, as the kernel starts it: `supervice --system-init -c FILE`.
//!
//! [`prepare`] makes what every program takes for granted (`/proc`, `/dev`, a console), then the daemon runs as
//! anywhere else, and [`Machine::finish`] turns the machine off. An init must never end: the kernel would panic. So
//! what can't be done is said and lived with, and [`Machine::wait`] is the last resort.

mod mounts;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sys::doorbell::Doorbell;
use crate::sys::machine::{self, Power};
use crate::sys::reap::{self, ReapScope};
use crate::sys::signals::{Listener, Signal, Signals};
use crate::util::errno;

/// What everybody else may take to end when all programs have: nobody has configured it.
const LAST_STOP: Duration = Duration::from_millis(500);

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// Where something is mounted if nothing is, unless the command line says otherwise.
pub const MOUNTS: &str = "/proc,/sys,/dev,/dev/pts,/run";

/// The machine of which we are the init.
#[derive(Debug)]
pub struct Machine {
    /// As long as this exists, no signal has its default effect: not before the daemon listens, nor after.
    signals: Option<Signals>,
    /// What they ring.
    bell: Arc<Doorbell>,
}

/// Looks whether this is the kernel's init, and prepares the machine. `mounts`: the places, with commas between
/// them, where something shall be mounted if nothing is.
///
/// # Errors
///
/// It is not: nothing was changed. The text says what to use instead.
pub fn prepare(mounts: &str) -> Result<Machine, String> {
    guard()?;
    machine::set_umask();
    let _ = std::env::set_current_dir("/");
    let places = mounts.split(',').map(str::trim).filter(|place| !place.is_empty() && *place != "none");
    let failed: Vec<String> = places.filter_map(|place| mounts::provide(Path::new(place)).err()).collect();
    // Only now there may be a console.
    let console = machine::take_console();
    for message in &failed {
        log_line(message);
    }
    if let Err(error) = console {
        log_line(&format!("no console: {}", errno::reason(&error)));
    }
    if let Err(error) = machine::catch_ctrl_alt_del() {
        log_line(&format!("Ctrl-Alt-Del reboots without a warning: {}", errno::reason(&error)));
    }
    // The system calls of programs may look for these.
    for (name, value) in [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("TERM", "linux")] {
        crate::sys::machine::default_variable(name, value);
    }
    let bell = Arc::new(Doorbell::default());
    let signals = Signals::install(Listener::Machine, Arc::clone(&bell));
    let signals =
        signals.inspect_err(|error| log_line(&format!("signals are not heard: {}", errno::reason(error)))).ok();
    Ok(Machine { signals, bell })
}

/// Never anywhere but where the kernel has started us: in a container, `poweroff` must not be more than a word.
fn guard() -> Result<(), String> {
    let refused = |why: &str| {
        format!(
            "--system-init: {why}; nothing was done. In a container use 'supervice -n -c FILE', or --init -- PROGRAM"
        )
    };
    if std::process::id() != 1 {
        return Err(refused("this is not PID 1"));
    }
    if std::env::var_os("container").is_some() {
        return Err(refused("this is a container, as $container says"));
    }
    let mut mounted = false;
    if !Path::new("/proc/self").exists() {
        mounted = mounts::provide(Path::new("/proc")).is_ok();
    }
    let verdict = machine::is_kernels_init();
    if !matches!(verdict, Ok(true)) && mounted {
        let _ = machine::unmount(Path::new("/proc"));
    }
    match verdict {
        Ok(true) => Ok(()),
        Ok(false) => Err(refused("this is PID 1 of a container, not of the machine")),
        Err(error) => {
            Err(refused(&format!("whether this is the machine's init can't be told: /proc: {}", errno::reason(&error))))
        }
    }
}

/// A line for whoever sits at the console, and in the kernel's log.
pub fn log_line(message: &str) {
    let _ = writeln!(io::stderr(), "supervice: {message}");
    machine::write_kernel_log(message);
}

impl Machine {
    /// All programs have ended: ends everything else, writes the disks, and turns the machine off.
    pub fn finish(&self, power: Power) -> ! {
        log_line(match power {
            Power::Off => "the machine is turned off",
            Power::Reboot => "the machine is started anew",
            Power::Halt => "the machine is halted",
        });
        end_everybody();
        machine::sync();
        for complaint in mounts::release_all() {
            log_line(&complaint);
        }
        machine::sync();
        let error = machine::power(power);
        log_line(&format!("the kernel refuses to {}: {}", power.command(), errno::reason(&error)));
        loop {
            std::thread::sleep(LONG);
        }
    }

    /// Nothing can be run, but an init must stay: reaps, and waits for the signals that turn the machine off.
    pub fn wait(&self) -> ! {
        let mut sleeper = Arc::clone(&self.bell).sleeper().ok();
        loop {
            let (Some(signals), Some(sleeper)) = (&self.signals, &mut sleeper) else {
                std::thread::sleep(LONG);
                continue;
            };
            sleeper.wait(None);
            for (signal, _) in signals.take() {
                match signal {
                    Signal::Power(power) => self.finish(power),
                    Signal::Child => {
                        signals.child_signals().expect_more();
                        reap_all();
                    }
                    Signal::Terminate(_) | Signal::Reload | Signal::Reopen | Signal::Meaningless(_) => {}
                }
            }
        }
    }
}

/// There is nothing left to wait for.
const LONG: Duration = Duration::from_secs(3600);

/// Whether nobody is left: PID 1 inherits every process, so that the last one is its child.
fn reap_all() -> bool {
    reap::sweep(ReapScope::All, &HashMap::<i32, ()>::new(), |()| {}).is_childless
}

/// What is not a program of ours (a shell of a login, a daemon that has run away) gets its chance too.
fn end_everybody() {
    machine::signal_everybody(SIGTERM);
    if !have_ended_within(LAST_STOP) {
        machine::signal_everybody(SIGKILL);
        // Until the kernel has taken them apart their files are open, and their disks can't be unmounted.
        have_ended_within(LAST_STOP);
    }
}

fn have_ended_within(limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let is_over = reap_all();
        if is_over || Instant::now() >= deadline {
            return is_over;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anywhere_else_nothing_is_done() {
        let refused = prepare("/proc").expect_err("a test is not PID 1");
        assert!(refused.contains("this is not PID 1; nothing was done"), "{refused}");
    }
}
