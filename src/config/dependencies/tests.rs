//! What a load makes of dependencies.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::config::{ConfigError, LoadOptions, Loaded, load};

fn read(text: &str) -> Result<Loaded, Vec<String>> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.conf");
    std::fs::write(&path, text).expect("written");
    match load(&path, &LoadOptions::default()) {
        Ok(loaded) => Ok(loaded),
        Err(ConfigError::Validation(error)) => {
            let place = path.display().to_string();
            Err(error.problems.iter().map(|problem| problem.to_string().replace(&place, "x")).collect())
        }
        Err(other) => panic!("{other}"),
    }
}

fn programs(sections: &[(&str, &str)]) -> String {
    let section = |(name, keys): &(&str, &str)| format!("[program:{name}]\ncommand = sleep 60\n{keys}\n");
    sections.iter().map(section).collect()
}

fn problems(sections: &[(&str, &str)]) -> Vec<String> {
    read(&programs(sections)).err().unwrap_or_default()
}

#[test]
fn row_35_unknown_names_and_conditions_are_errors_with_what_was_probably_meant() {
    let wrong = problems(&[
        ("web", "requires = dba, cache:helthy, cache:ready:now, group:bakc, back"),
        ("cache", "wants = nothing_like_it"),
        ("db", "healthcheck_type = tcp\nhealthcheck_port = 1\nrequires = ,:healthy"),
        ("member", "[group:back]\nprograms = member"),
    ]);
    assert_eq!(
        wrong,
        [
            "x:3: [program:web] requires = dba: no such program: dba; did you mean db?",
            "x:3: [program:web] requires = cache:helthy: no such program: cache:helthy; did you mean cache:healthy?",
            "x:3: [program:web] requires = cache:ready:now: no such program: cache:ready:now; name a program that is configured, or put a ? behind it if it may be absent",
            "x:3: [program:web] requires = group:bakc: no such group: bakc; did you mean group:back?",
            "x:3: [program:web] requires = back: no such program: back; write group:back for the members of that group",
            "x:6: [program:cache] wants = nothing_like_it: no such program: nothing_like_it; name a program that is configured, or put a ? behind it if it may be absent",
            "x:11: [program:db] requires = ,:healthy: a name is missing; write the name of a program, or group:NAME",
        ]
    );
}

#[test]
fn conditions_that_can_never_hold_are_errors() {
    let wrong = problems(&[
        ("web", "requires = db:healthy, job:completed, again:completed, web\nnumprocs = 3"),
        ("db", ""),
        ("job", "autorestart = unexpected"),
        ("again", ""),
    ]);
    assert_eq!(
        wrong,
        [
            "x:3: [program:web] requires = db:healthy: never so: db has no health check; write healthcheck_type into [program:…] of db, or depend on it without :healthy",
            "x:3: [program:web] requires = again:completed: never so: again is started again after each end; write type = oneshot or autorestart = unexpected for again, or depend on it without :completed",
            "x:3: [program:web] requires = web: web:00 depends on itself; remove it",
            "x:3: [program:web] requires = web: web:01 depends on itself; remove it",
            "x:3: [program:web] requires = web: web:02 depends on itself; remove it",
            "x:3: [program:web] requires = web: each waits for the next: web:00 -> web:01 (x:3) -> web:00; remove one of these dependencies",
            "x:3: [program:web] requires = web: each waits for the next: web:00 -> web:02 (x:3) -> web:00; remove one of these dependencies",
        ]
    );
}

#[test]
fn row_31_every_circle_is_told_with_its_path_whatever_keys_make_it() {
    let wrong = problems(&[
        ("web", "requires = api"),
        ("api", "binds = db?"),
        ("db", "wants = cache:started"),
        ("cache", "after = group:front"),
        ("innocent", "requires = web"),
        ("one", "after = two"),
        ("two", "after = one\n[group:front]\nprograms = web"),
    ]);
    assert_eq!(
        wrong,
        [
            "x:3: [program:web] requires = api: each waits for the next: web -> api (x:6) -> db (x:9) -> cache (x:12) -> web; remove one of these dependencies",
            "x:18: [program:one] after = two: each waits for the next: one -> two (x:21) -> one; remove one of these dependencies",
        ]
    );
}

#[test]
fn row_38_what_may_be_absent_may_be_so_with_each_condition() {
    for condition in DependencyCondition::ALL {
        for kind in DependencyKind::ALL {
            let keys = format!("{} = db:{}?, group:g:{}?", kind.as_str(), condition.as_str(), condition.as_str());
            assert_eq!(problems(&[("web", &keys)]), Vec::<String>::new());
        }
    }
}

#[test]
fn row_41_a_name_means_a_program_an_instance_or_a_group_and_arrives_byte_for_byte() {
    let text = programs(&[
        ("web", "requires = db-1, pool:01, group:all:started"),
        ("db-1", ""),
        ("pool", "numprocs = 3"),
        ("x", "requires = pool\nnumprocs = 2\n[group:all]\nprograms = db-1,pool"),
    ]);
    let programs = read(&text).expect("it holds").config.programs;
    let name = |number: u32| programs[number as usize].name.as_str();
    let edges = edges(&programs, 100, &mut |_, _, _| panic!("a name is unknown")).expect("few");
    let told: Vec<String> = edges.iter().map(|edge| format!("{} {}", name(edge.from), name(edge.to))).collect();
    let wanted = "web db-1,web pool:01,web db-1,web pool:00,web pool:01,web pool:02,\
                  x:00 pool:00,x:00 pool:01,x:00 pool:02,x:01 pool:00,x:01 pool:01,x:01 pool:02";
    assert_eq!(told.join(","), wanted);
}

#[test]
fn in_the_dialect_of_supervisord_a_section_names_its_processes() {
    let keys = "[supervisord]\n[group:g]\nprograms = a,b\n[group:h]\nprograms = b\n";
    let text = programs(&[
        ("a", "numprocs = 2\nprocess_name = p%(process_num)d"),
        ("b", ""),
        ("c", "numprocs = 2\nprocess_name = q%(process_num)d"),
        ("web", "requires = a:started, c?, group:h, g:b"),
    ]);
    let programs = read(&format!("{keys}{text}")).expect("it holds").config.programs;
    let web = programs.iter().find(|program| program.name == "web").expect("it is there");
    let told: Vec<String> = web.requires.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["g:p0:started", "g:p1:started", "c:q0?", "c:q1?", "group:h", "g:b"]);
}

#[test]
fn stages_tell_who_starts_after_whom() {
    let text = programs(&[("web", "requires = api\nafter = db"), ("api", "wants = db"), ("db", ""), ("alone", "")]);
    let config = read(&text).expect("it holds").config;
    assert_eq!(start_stages(&config), [vec!["db", "alone"], vec!["api"], vec!["web"]]);
}

#[test]
fn a_configuration_may_not_have_endless_dependencies() {
    let sections = [("a", "numprocs = 1100\nrequires = b"), ("b", "numprocs = 1000")];
    let wrong = problems(&sections);
    let message = "x:4: [program:a] requires = b: more than 1000000 dependencies from process to process; \
                   depend on fewer instances, or on a program that depends on them";
    assert_eq!(wrong, [message]);
}

/// How long so many programs, with five times as many dependencies, take to be loaded.
fn loaded(programs: u32) -> Duration {
    let mut text = String::new();
    for number in 0..programs {
        writeln!(text, "[program:p{number}]\ncommand = /bin/true").expect("text");
        let others = (1..=5).filter_map(|step| number.checked_sub(step * step)).map(|other| format!("p{other}"));
        writeln!(text, "requires = {}", others.collect::<Vec<_>>().join(",")).expect("text");
    }
    let begun = Instant::now();
    let loaded = read(&text).expect("it holds");
    let taken = begun.elapsed();
    assert_eq!(loaded.config.programs.len(), programs as usize);
    taken
}

/// 10,000 programs with 50,000 dependencies: a tenth of a second each for the load and the check in a release build.
/// However slow the machine, ten times as many take ten times as long, and not a hundred times.
#[test]
fn ten_thousand_programs_with_fifty_thousand_dependencies_are_loaded_quickly() {
    let few = (0..3).map(|_| loaded(1_000)).min().expect("three");
    let is_quick = |_| {
        let taken = loaded(10_000);
        println!("10,000 programs, 50,000 dependencies: {taken:?}; a tenth of them: {few:?}");
        taken < 30 * few
    };
    assert!((0..5).any(is_quick));
}

proptest! {
    /// A configuration is refused exactly if it runs in circles, and then each program on one is named.
    #[test]
    fn row_31_random_graphs_are_refused_exactly_where_they_run_in_circles(
        count in 1u32..9,
        pairs in prop::collection::vec((0u32..9, 0u32..9, 0usize..4), 0..14),
    ) {
        let mut text = String::new();
        let pairs: Vec<(u32, u32, usize)> =
            pairs.iter().map(|(from, to, kind)| (from % count, to % count, *kind)).filter(|(from, to, _)| from != to).collect();
        for number in 0..count {
            writeln!(text, "[program:p{number}]\ncommand = /bin/true").expect("text");
            for (place, kind) in DependencyKind::ALL.iter().enumerate() {
                let own = pairs.iter().filter(|(from, _, of)| (*from, *of) == (number, place));
                let names: Vec<String> = own.map(|(_, to, _)| format!("p{to}")).collect();
                writeln!(text, "{} = {}", kind.as_str(), names.join(",")).expect("text");
            }
        }
        let edges: Vec<(u32, u32)> = pairs.iter().map(|(from, to, _)| (*from, *to)).collect();
        let circles = Topology::new(count as usize, &edges).circles(usize::MAX);
        match read(&text) {
            Ok(_) => prop_assert!(circles.is_empty()),
            Err(told) => {
                prop_assert!(!circles.is_empty());
                for node in circles.iter().flatten() {
                    prop_assert!(told.iter().any(|line| line.contains(&format!("p{node} "))), "{told:?}");
                }
            }
        }
    }
}
