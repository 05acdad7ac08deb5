use super::super::rules::SignalAction;
use super::*;

fn read(mode: CompatMode, words: &[&str], variables: &[(&str, &str)]) -> Result<Asked, String> {
    let args: Vec<OsString> = words.iter().map(OsString::from).collect();
    let variables: Vec<(String, OsString)> = variables.iter().map(|(k, v)| ((*k).to_owned(), v.into())).collect();
    parse(mode, &args, &|name| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
}

fn run(mode: CompatMode, words: &[&str], variables: &[(&str, &str)]) -> Options {
    match read(mode, words, variables) {
        Ok(Asked::Run(options)) => options,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn the_program_begins_at_the_first_word_and_keeps_all_that_follows() {
    for mode in [CompatMode::Supervice, CompatMode::Tini, CompatMode::DumbInit, CompatMode::Catatonit] {
        assert_eq!(run(mode, &["--", "a", "-g", "--", "-x"], &[]).program, ["a", "-g", "--", "-x"]);
        assert_eq!(run(mode, &["a", "--", "-h"], &[]).program, ["a", "--", "-h"]);
        assert_eq!(run(mode, &["--", "-x"], &[]).program, ["-x"]);
        for none in [&[][..], &["--"]] {
            assert!(read(mode, none, &[]).is_err());
        }
        assert!(read(mode, &["-Z", "a"], &[]).is_err());
    }
}

#[test]
fn tini_options_in_any_writing() {
    let options = run(CompatMode::Tini, &["-gvvs", "-e143", "-e", "7", "-pSIGKILL", "--", "a"], &[]);
    assert!(options.group && options.subreaper && !options.tell_reaped);
    assert_eq!((options.verbosity, options.parent_death), (3, Some(9)));
    assert_eq!(options.forgiven.code(crate::process::Exit::Signal(15)), 0);
    assert!(run(CompatMode::Tini, &["-w", "a"], &[]).tell_reaped);
    for wrong in [&["-e", "300", "a"][..], &["-e", "x", "a"], &["-p", "SIGFOO", "a"], &["-r", "1:2", "a"], &["-e"]] {
        assert!(read(CompatMode::Tini, wrong, &[]).is_err(), "{wrong:?}");
    }
}

#[test]
fn tini_variables_stand_for_options() {
    let plain = run(CompatMode::Tini, &["a"], &[]);
    assert!(!plain.subreaper && !plain.group && plain.verbosity == 1);
    // What counts is that they are set, whatever to.
    let set = [("TINI_SUBREAPER", ""), ("TINI_KILL_PROCESS_GROUP", "0"), ("TINI_VERBOSITY", "3")];
    let options = run(CompatMode::Tini, &["a"], &set);
    assert!(options.subreaper && options.group && options.verbosity == 3);
    assert!(!run(CompatMode::DumbInit, &["-c", "a"], &set).group);
}

#[test]
fn dumb_init_options_and_variables() {
    let options = run(CompatMode::DumbInit, &["a"], &[]);
    assert!(options.group && options.place == Place::OwnSession);
    let by_variable = run(CompatMode::DumbInit, &["a"], &[("DUMB_INIT_SETSID", "0"), ("DUMB_INIT_DEBUG", "1")]);
    assert!(!by_variable.group && by_variable.place == Place::WithUs && by_variable.verbosity == 3);
    for words in [&["-c", "a"][..], &["--single-child", "a"], &["--single", "a"]] {
        assert_eq!(run(CompatMode::DumbInit, words, &[]).place, Place::WithUs);
    }
    assert_eq!(run(CompatMode::DumbInit, &["a"], &[("DUMB_INIT_SETSID", "1")]).place, Place::OwnSession);
    for words in [&["-r", "15:3", "a"][..], &["-r15:3", "a"], &["--rewrite=15:3", "a"], &["--rew", "15:3", "a"]] {
        assert_eq!(run(CompatMode::DumbInit, words, &[]).rules.of(15), SignalAction::Forward(3), "{words:?}");
    }
    for wrong in ["99:1", "foo", "15", "0:15", "15:32", "TERM:QUIT", "15:-1"] {
        assert!(read(CompatMode::DumbInit, &["-r", wrong, "a"], &[]).is_err(), "{wrong}");
    }
}

#[test]
fn dumb_init_stops_a_session_by_sigstop_unless_rewritten_back() {
    for signal in JOB_STOPS {
        assert_eq!(run(CompatMode::DumbInit, &["a"], &[]).rules.of(signal), SignalAction::Forward(19));
        assert_eq!(run(CompatMode::DumbInit, &["-c", "a"], &[]).rules.of(signal), SignalAction::Forward(signal));
    }
    assert_eq!(run(CompatMode::DumbInit, &["-r", "20:20", "a"], &[]).rules.of(20), SignalAction::Forward(20));
    assert_eq!(run(CompatMode::DumbInit, &["-r", "20:0", "-c", "a"], &[]).rules.of(20), SignalAction::Drop);
}

#[test]
fn our_own_rewrites_take_names_and_real_time_signals() {
    let options = run(CompatMode::Supervice, &["-r", "TERM:QUIT", "--rewrite", "HUP:0", "-r", "RTMIN+1:10", "a"], &[]);
    let sent = [15, 1, 35].map(|signal| options.rules.of(signal));
    assert_eq!(sent, [SignalAction::Forward(3), SignalAction::Drop, SignalAction::Forward(10)]);
    assert!(options.subreaper && options.place == Place::OwnGroup);
}

#[test]
fn catatonit_ignores_stops_and_pauses() {
    let options = run(CompatMode::Catatonit, &["-g", "a"], &[]);
    assert!(options.group && options.subreaper);
    assert!(JOB_STOPS.iter().all(|signal| options.rules.of(*signal) == SignalAction::Drop));
    assert!(run(CompatMode::Catatonit, &["-P"], &[]).pause);
    assert!(read(CompatMode::Catatonit, &["a"], &[("CATATONIT_LOG", "x")]).is_err());
}

#[test]
fn links_are_known_by_their_name() {
    let of = |name: &str| CompatMode::of(OsStr::new(name));
    assert_eq!(of("/sbin/tini"), Some(CompatMode::Tini));
    assert_eq!(of("/sbin/docker-init"), Some(CompatMode::Tini));
    assert_eq!(of("dumb-init"), Some(CompatMode::DumbInit));
    assert_eq!(of("/usr/bin/catatonit"), Some(CompatMode::Catatonit));
    assert_eq!(of("/usr/bin/supervice"), None);
    assert_eq!(of(""), None);
}

#[test]
fn versions_name_what_is_stood_in_for() {
    assert!(CompatMode::Tini.version().starts_with("tini version "));
    assert!(CompatMode::Catatonit.version().starts_with("tini version "));
    assert!(CompatMode::DumbInit.version().starts_with("dumb-init v1."));
    assert!(matches!(read(CompatMode::Tini, &["--version"], &[]), Ok(Asked::Print(_))));
    assert!(matches!(read(CompatMode::DumbInit, &["-V"], &[]), Ok(Asked::Print(_))));
}
