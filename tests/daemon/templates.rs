//! Programs that are made from a template, with a reload.

use crate::harness::Daemon;

const TEMPLATE: &str = "[defaults]\nstartsecs = 0\n[template:worker]\ncommand = sh -c 'echo %(instance)s; exec sleep 300'\n\
    stdout_logfile = DIR/%(instance)s.log\n";

#[test]
fn instances_of_a_template_are_programs_and_a_reload_treats_them_as_such() {
    let with = |programs: &str| format!("{TEMPLATE}{programs}");
    let daemon = Daemon::start(&with("[program:worker@eu-west]\n[program:worker@us]\n"));
    let eu = daemon.wait_state("worker@eu-west", "RUNNING").pid;
    daemon.wait_state("worker@us", "RUNNING");
    crate::harness::wait_until("each says its name", || {
        daemon.read("eu-west.log") == "eu-west\n" && daemon.read("us.log") == "us\n"
    });
    // Another instance, one less, and one that stays as it is.
    daemon.write_config(&with("[program:worker@eu-west]\n[program:worker@asia]\n"), &[]);
    let (code, text, _) = daemon.ctl(&["update"]);
    assert_eq!(code, 0, "{text}");
    daemon.wait_state("worker@asia", "RUNNING");
    let names: Vec<String> = daemon.all().into_iter().map(|process| process.name).collect();
    assert_eq!(names, ["worker@eu-west", "worker@asia"]);
    assert_eq!(daemon.status("worker@eu-west").pid, eu);
    // A change of the template is one of each program.
    daemon.write_config(&with("[program:worker@eu-west]\n[program:worker@asia]\n").replace("echo", "echo I am"), &[]);
    let (code, text, _) = daemon.ctl(&["update"]);
    assert_eq!(code, 0, "{text}");
    crate::harness::wait_until("each was restarted", || {
        daemon.read("eu-west.log").ends_with("I am eu-west\n") && daemon.read("asia.log").ends_with("I am asia\n")
    });
    daemon.terminate();
}
