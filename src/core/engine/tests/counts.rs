//! What is counted of the programs.

use std::sync::Arc;

use super::*;
use crate::api::Watch;
use crate::models::{AccessRule, Principal, ProgramPattern, Right, SupervisorConfig};
use crate::process::{Initiator, RemoteCaller};

/// Whom the kernel has killed is found by what all programs have gone through, whoever asks first.
#[test]
fn who_sees_one_program_is_told_how_often_others_were_killed_and_nothing_else_of_them() {
    let rule = AccessRule {
        who: vec![Principal::Http { name: name("alice") }],
        allow: [Right::Read].into_iter().collect(),
        programs: vec![ProgramPattern::Name(name("shown"))],
        ..AccessRule::new("alice")
    };
    let settings = SupervisorConfig { access: vec![rule], ..SupervisorConfig::default() };
    let names = ["shown", "hidden", "stopped"];
    let mut bench = Bench::with(settings, &names.map(bench::quick));
    for (id, program) in (0..).zip(names) {
        bench.start(1, program);
        if program == "stopped" {
            bench.ask(1, act(Act::Stop, program));
        }
        bench.end(id, Exit::Signal(9));
    }
    let alice = RemoteCaller { address: "192.0.2.1:5".into(), user: Some("alice".into()) };
    bench.ask_by(2, Initiator::Remote(Arc::new(alice)), Request::Watch(Watch::Metrics));
    let Reply::Metrics(metrics) = bench.reply() else { panic!("{:?}", bench.reply()) };
    let seen: Vec<&str> = metrics.rows.iter().map(|row| row.program.name.as_str()).collect();
    assert_eq!((seen, &metrics.killed), (vec!["shown"], &vec![(name("shown"), 1), (name("hidden"), 1)]));
}
