//! Calls of supervisord's clients, to whom `EXITED` is an end: here it may start again.

use super::bench::quick;
use super::*;
use crate::codec::xmlrpc::{self, Exchange, LocalClock, Step};
use crate::models::{AutoRestart, HookCommand, ProgramType};

impl Bench {
    /// The document that answers this call, all commands being there to be executed.
    fn call(&mut self, method: &str, params: &[&str]) -> String {
        let params: String = params.iter().map(|value| format!("<param><value>{value}</value></param>")).collect();
        let body =
            format!("<methodCall><methodName>supervisor.{method}</methodName><params>{params}</params></methodCall>");
        let (mut exchange, mut step) = Exchange::begin(xmlrpc::parse(body.as_bytes()).expect("a call"));
        loop {
            step = match step {
                Step::Ask(request) => {
                    self.ask(7, request);
                    let (client, answer, _) = self.system.answers.pop().expect("an answer");
                    assert_eq!(client, 7);
                    exchange.answered(answer, LocalClock { clock: self.clock(), local: |seconds| seconds.to_string() })
                }
                Step::Inspect(programs) => exchange.inspected(vec![None; programs.len()]),
                Step::FindUsers(names) => exchange.users_found(names.iter().map(|name| uid_of(name)).collect()),
                Step::Done(result) => return String::from_utf8(xmlrpc::response(&result)).expect("UTF-8"),
            }
        }
    }

    fn is_told(&mut self, program: &str, state: &str) -> bool {
        self.call("getProcessInfo", &[program]).contains(&format!("<string>{state}</string>"))
    }
}

fn uid_of(name: &str) -> Option<u32> {
    (name == "nobody").then_some(65534)
}

const TRUE: &str = "<boolean>1</boolean>";

/// It has ended, and is not started before the second is over.
fn throttled() -> Bench {
    let fast = ProgramConfig { autorestart: AutoRestart::Always, ..quick("fast") };
    let mut bench = Bench::new(&[fast]);
    bench.start(1, "fast");
    bench.end(0, Exit::Code(0));
    assert_eq!(bench.state("fast"), ProcessState::Exited);
    bench
}

#[test]
fn what_waits_for_its_restart_is_told_as_everywhere_and_can_be_stopped() {
    let mut bench = throttled();
    assert!(bench.is_told("fast", "EXITED"), "as events and status have it");
    assert!(bench.call("removeProcessGroup", &["fast"]).contains("STILL_RUNNING"));
    assert!(bench.call("stopProcess", &["fast"]).contains(TRUE));
    assert!(bench.is_told("fast", "STOPPED"));
    assert!(bench.call("stopProcess", &["fast"]).contains("NOT_RUNNING: fast"));
    bench.pass(60);
    assert_eq!((bench.state("fast"), bench.system.pids), (ProcessState::Stopped, 1));
}

#[test]
fn what_waits_for_its_restart_is_stopped_with_its_group_and_with_all() {
    for (method, params) in [("stopProcessGroup", &["fast"][..]), ("stopAllProcesses", &[])] {
        let mut bench = throttled();
        assert!(bench.call(method, params).contains("<string>OK</string>"), "{method}");
        assert!(bench.call("removeProcessGroup", &["fast"]).contains(TRUE), "{method}");
    }
}

#[test]
fn a_start_after_fatal_is_called_off() {
    let mut fatal = ProgramConfig { startretries: 0, ..program("fatal") };
    fatal.restart.fatal_retry = 60;
    let mut bench = Bench::new(&[fatal]);
    bench.start(1, "fatal");
    bench.end(0, Exit::Code(3));
    assert!(bench.is_told("fatal", "FATAL"));
    assert!(bench.call("stopProcess", &["fatal"]).contains(TRUE));
    assert!(bench.call("stopProcess", &["fatal"]).contains("NOT_RUNNING: fatal"));
    assert!(bench.call("removeProcessGroup", &["fatal"]).contains(TRUE));
    bench.pass(600);
    assert_eq!(bench.system.pids, 1);
}

#[test]
fn what_a_oneshot_has_set_up_is_taken_down() {
    let mut mount = ProgramConfig { program_type: ProgramType::Oneshot, ..program("mount") };
    mount.hooks.stop_command = vec![HookCommand { command: name("umount"), may_fail: false, as_daemon: false }];
    let mut bench = Bench::new(&[mount]);
    bench.start(1, "mount");
    bench.end(0, Exit::Code(0));
    assert!(bench.is_told("mount", "EXITED"));
    assert!(bench.call("stopProcessGroup", &["mount", "<boolean>0</boolean>"]).contains("<string>OK</string>"));
    assert!(bench.is_told("mount", "STOPPING"));
    assert_eq!(bench.system.tasks.values().collect::<Vec<_>>(), ["umount"]);
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Code(0) });
    // The command's last output is waited for.
    bench.pass(5);
    assert!(bench.is_told("mount", "STOPPED"));
    assert!(bench.call("removeProcessGroup", &["mount"]).contains(TRUE));
}

#[test]
fn a_group_is_started_and_stopped_by_priority_and_then_in_the_order_of_the_file() {
    let member = |of: &str, program: &str, group_priority, priority| ProgramConfig {
        group: Some(name(of)),
        group_priority,
        priority,
        ..quick(program)
    };
    let file =
        [member("y", "y:a", 7, 999), member("z", "z:f", 5, 30), member("z", "z:d", 5, 10), member("z", "z:e", 5, 30)];
    let mut bench = Bench::new(&file);
    bench.call("startAllProcesses", &[]);
    assert_eq!(bench.came_to(ProcessState::Starting), ["z:d", "z:f", "z:e", "y:a"]);
    let told = bench.call("stopProcessGroup", &["z", "<boolean>0</boolean>"]);
    assert_eq!(bench.came_to(ProcessState::Stopping), ["z:d", "z:f", "z:e"]);
    let places = ["d", "f", "e"].map(|process| told.find(&format!("<string>z:{process}</string>")));
    assert!(places.is_sorted() && places[0].is_some(), "{told}");
}

#[test]
fn users_are_told_by_number() {
    let user = |program: &str, user: &str| ProgramConfig { user: Some(name(user)), ..quick(program) };
    let mut bench = Bench::new(&[user("a", "nobody"), user("b", "33"), user("c", "gone"), quick("d")]);
    let told = bench.call("getAllConfigInfo", &[]);
    let uids: Vec<&str> = told.split("<name>uid</name>").skip(1).filter_map(|part| part.lines().nth(1)).collect();
    let wanted = ["<int>65534</int>", "<int>33</int>", "<string>gone</string>", "<string>none</string>"];
    assert_eq!(uids, wanted.map(|value| format!("<value>{value}</value>")));
}
