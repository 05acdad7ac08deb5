//! What supervisor's own tests of its RPC interface expect, of the real supervisord and of ours.

use std::fs;

use crate::harness::wait_until;
use crate::supervisord_clients::{Site, compare};

const SCRIPT: &str = include_str!("originals/rpc_suite.py");

const PROGRAMS: &str = include_str!("originals/rpc_suite.conf");

#[test]
fn what_supervisor_s_own_tests_expect_of_each_method_comes_from_both() {
    compare(PROGRAMS, |site: &Site, python| {
        fs::write(site.dir.path().join("text"), "#!/bin/sh\n").expect("written");
        wait_until("the programs run", || site.ctl(python, &["status", "ok", "cat"]).matches("RUNNING").count() == 2);
        let told = site.script(python, &SCRIPT.replace("DIR", &site.dir.path().display().to_string()));
        let is_done = told.trim_end().ends_with("shutdown True\n_update 6\n_update 6");
        assert!(is_done && !told.contains("WRONG"), "{told}");
        told.lines().map(str::to_owned).collect()
    });
}
