use std::sync::Arc;

use super::*;
use crate::api::{EventKinds, Terms};
use crate::process::{Caller, RemoteCaller};

const OWN: u32 = 900;

fn local(uid: u32, groups: &[u32], user: Option<&str>) -> Initiator {
    Initiator::Client(Arc::new(Caller {
        uid,
        pid: 7,
        command: None,
        user: user.map(Into::into),
        groups: groups.into(),
    }))
}

fn remote(user: Option<&str>) -> Initiator {
    Initiator::Remote(Arc::new(RemoteCaller { address: "192.0.2.1:7".into(), user: user.map(Into::into) }))
}

fn rule(who: Principal, allow: &[Right], programs: &[ProgramPattern]) -> AccessRule {
    let allow = allow.iter().copied().collect();
    AccessRule { name: "r".to_owned(), who: vec![who], allow, programs: programs.to_vec() }
}

fn rules() -> Vec<AccessRule> {
    let name = |text: &str| ProgramPattern::Name(text.to_owned());
    let group = |text: &str| ProgramPattern::Group(text.to_owned());
    vec![
        rule(Principal::User { name: "alice".to_owned(), uid: 1000 }, &[Right::Read, Right::Restart], &[name("web*")]),
        rule(Principal::Group { name: "deploy".to_owned(), gid: 50 }, &[Right::Start], &[group("api")]),
        rule(Principal::Http { name: "bob".to_owned() }, &[Right::Reload], &[]),
        rule(Principal::Http { name: "root".to_owned() }, &[Right::Read], &[]),
    ]
}

fn program<'a>(name: &'a str, group: Option<&'a str>) -> Object<'a> {
    Object::Program { name, group }
}

#[test]
fn without_rules_everybody_may_do_all() {
    let access = Access { rules: &[], own_uid: OWN };
    for by in [local(1, &[], None), remote(None), Initiator::Embedder] {
        assert_eq!(access.unlimited(&by), Some(Unlimited::NoRules));
        assert!(Right::ALL.into_iter().all(|right| access.allows(&by, right, Object::Daemon)));
    }
}

#[test]
fn root_and_the_own_user_are_limited_by_no_rule_but_over_the_network_they_are_a_name() {
    let rules = rules();
    let access = Access { rules: &rules, own_uid: OWN };
    for by in [local(0, &[], None), local(OWN, &[], None), Initiator::Embedder, Initiator::Autostart] {
        assert_eq!(access.unlimited(&by), Some(Unlimited::OwnUser), "{by}");
        assert!(access.allows(&by, Right::Admin, Object::Daemon) && access.allows_any(&by, Right::Read));
    }
    let by = remote(Some("root"));
    assert_eq!(access.rights(&by, Object::Daemon), [Right::Read].into_iter().collect());
    assert!(!access.allows(&by, Right::Stop, program("web", None)));
}

/// Who, with what, and which rights.
#[test]
fn each_rule_gives_what_it_says_to_whom_it_says_and_nothing_else() {
    let rules = rules();
    let access = Access { rules: &rules, own_uid: OWN };
    let alice = [Right::Read, Right::Restart];
    for (by, on, wanted) in [
        (local(1000, &[], None), program("web", None), &alice[..]),
        (local(1000, &[], None), program("web:00", Some("api")), &alice),
        (local(1000, &[50], None), program("web:00", Some("api")), &[Right::Read, Right::Restart, Right::Start]),
        (local(1000, &[], None), program("db", Some("web")), &[]),
        (local(1000, &[], None), Object::Daemon, &[]),
        (local(1001, &[7, 50], None), program("x", Some("api")), &[Right::Start]),
        (local(1001, &[7, 50], None), program("x", None), &[]),
        (local(1001, &[7], None), program("x", Some("api")), &[]),
        (local(1001, &[], Some("bob")), program("db", None), &[Right::Reload]),
        (remote(Some("bob")), Object::Daemon, &[Right::Reload]),
        // A name of HTTP is no user of this machine.
        (remote(Some("alice")), program("web", None), &[]),
        (remote(None), program("web", None), &[]),
    ] {
        let wanted: Rights = wanted.iter().copied().collect();
        assert_eq!(access.rights(&by, on), wanted, "{by} with {on:?}");
        for right in Right::ALL {
            assert_eq!(access.allows(&by, right, on), wanted.has(right), "{by}: {right:?} {on:?}");
        }
    }
    assert!(
        access.allows_any(&local(1000, &[], None), Right::Read)
            && !access.allows_any(&remote(Some("bob")), Right::Read)
    );
}

#[test]
fn the_members_of_a_group_that_is_not_there_are_nobody_s_business() {
    let rules = rules();
    let access = Access { rules: &rules, own_uid: OWN };
    assert!(access.names_group(&local(1, &[50], None), Right::Start, "api"));
    assert!(!access.names_group(&local(1, &[50], None), Right::Start, "other"));
    assert!(!access.names_group(&local(1, &[50], None), Right::Stop, "api"));
    assert!(access.names_group(&remote(Some("bob")), Right::Reload, "other"));
}

/// The socket may be open to those who are to restart a program: none of them may run a shell as root.
#[cfg(feature = "attach")]
#[test]
fn only_who_may_do_all_runs_what_he_wants() {
    let none = Access { rules: &[], own_uid: OWN };
    assert!(none.has_shell(&local(0, &[], None)) && none.has_shell(&local(OWN, &[], None)));
    assert!(none.has_shell(&Initiator::Embedder));
    assert!(!none.has_shell(&local(1000, &[], None)) && !none.has_shell(&remote(Some("bob"))));
    let admin = rule(Principal::User { name: "joe".to_owned(), uid: 1000 }, &[Right::Admin], &[]);
    let rules = rules();
    let access = Access { rules: &rules, own_uid: OWN };
    assert!(access.has_shell(&local(0, &[], None)) && !access.has_shell(&local(1000, &[], None)));
    let rules = [admin];
    let access = Access { rules: &rules, own_uid: OWN };
    assert!(access.has_shell(&local(1000, &[], None)) && !access.has_shell(&local(1001, &[], None)));
}

#[test]
fn each_request_needs_the_right_that_the_manual_names() {
    let name = || "web".to_owned();
    let names = vec![name(), "db".to_owned()];
    let act = |act, on| Request::Command(Command::Act { act, on, terms: Terms::default() });
    let restart = Act::Restart { force: false };
    let stdin = Command::Stdin { name: name(), bytes: Arc::from(*b"x") };
    for (request, wanted) in [
        (Request::Query(Query::Ping), Needs::Nothing),
        (Request::Query(Query::Status { name: None, offset: 0 }), Needs::Any(Right::Read)),
        (Request::Query(Query::Status { name: Some(name()), offset: 0 }), Needs::Program(Right::Read, "web")),
        (Request::Query(Query::Graph { names: Vec::new(), offset: 0 }), Needs::Any(Right::Read)),
        #[cfg(feature = "xmlrpc")]
        (Request::Query(Query::Find { names: Vec::new(), right: Right::Stop }), Needs::Any(Right::Stop)),
        #[cfg(feature = "xmlrpc")]
        (Request::Query(Query::Find { names: names.clone(), right: Right::Start }), Needs::Found(Right::Start, &names)),
        (Request::Query(Query::Blame { names: names.clone(), offset: 0 }), Needs::AllOf(Right::Read, &names)),
        (Request::Watch(Watch::Events { kinds: EventKinds::ALL, history: 0 }), Needs::Any(Right::Read)),
        (Request::Watch(Watch::Reread { secrets: false, file: None }), Needs::Daemon(Right::Reload)),
        (Request::Watch(Watch::Reread { secrets: true, file: None }), Needs::Daemon(Right::Admin)),
        (Request::Watch(Watch::Reread { secrets: false, file: Some(name()) }), Needs::Daemon(Right::Admin)),
        (
            Request::Command(Command::Scale { program: name(), instances: 2, save: false, timeout: None }),
            Needs::Daemon(Right::Reload),
        ),
        (Request::Watch(Watch::Settings { name: name(), secrets: false }), Needs::Program(Right::Read, "web")),
        (Request::Watch(Watch::Settings { name: name(), secrets: true }), Needs::Program(Right::Admin, "web")),
        (act(Act::Start, Selector::Process(name())), Needs::Program(Right::Start, "web")),
        (act(Act::Stop, Selector::Group(name())), Needs::Group(Right::Stop, "web")),
        (act(Act::Kill, Selector::Process(name())), Needs::Program(Right::Stop, "web")),
        (act(restart, Selector::Processes(names.clone())), Needs::Each(Right::Restart, &names)),
        (Request::Command(stdin), Needs::Program(Right::Stdin, "web")),
        #[cfg(feature = "attach")]
        (Request::Command(Command::Attach { name: name(), size: None }), Needs::Terminal("web")),
        (Request::Command(Command::Pause { name: name() }), Needs::Program(Right::Signal, "web")),
        (Request::Command(Command::Resume { name: name() }), Needs::Program(Right::Signal, "web")),
        (Request::Command(Command::ReloadProcess { name: name() }), Needs::Program(Right::Reload, "web")),
        (Request::Command(Command::Update { confirm: None, timeout: None }), Needs::Daemon(Right::Reload)),
        (Request::Command(Command::ClearLogs { name: name() }), Needs::Program(Right::Admin, "web")),
        (Request::Query(Query::Flags), Needs::Any(Right::Read)),
        (Request::Command(Command::SetEnabled { name: name(), enabled: true }), Needs::Program(Right::Start, "web")),
        (Request::Command(Command::SetEnabled { name: name(), enabled: false }), Needs::Program(Right::Stop, "web")),
        (Request::Command(Command::SetFlag { name: name(), is_set: true }), Needs::Daemon(Right::Start)),
        (Request::Command(Command::Shutdown), Needs::Daemon(Right::Admin)),
    ] {
        assert_eq!(needs(&request), wanted, "{request:?}");
    }
}
