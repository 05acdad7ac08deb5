//! The random programs of a life.

use super::*;
use crate::models::{ChangePath, OutputRule};

impl FakeSystem {
    pub(in super::super) fn program(&mut self, name: String) -> ProgramConfig {
        let hooks = self.hooks();
        let random = &mut self.random;
        let mut program = ProgramConfig {
            autostart: random.chance(60),
            autorestart: random.pick(&[AutoRestart::Never, AutoRestart::Unexpected, AutoRestart::Always]),
            program_type: match random.below(100) {
                0..15 => ProgramType::Oneshot,
                15..30 => ProgramType::Forking,
                _ => ProgramType::Simple,
            },
            pidfile: Some("/run/it.pid".to_owned()),
            ready: match random.below(100) {
                0..10 => Readiness::Fd(3),
                10..15 => Readiness::Path("/run/ready".to_owned()),
                15..25 => Readiness::Accepts(Box::new(Endpoint::Unix("/run/socket".to_owned()))),
                25..35 => Readiness::Command("test -e ready".to_owned()),
                35..50 => Readiness::Notify,
                _ => Readiness::Startsecs,
            },
            watchdog: if random.chance(20) { 1 + random.small(6) } else { 0 },
            notify_access: random.pick(&[NotifyAccess::Run, NotifyAccess::Main]),
            // Not 0: in the end everything comes to rest.
            start_timeout: 1 + random.small(8),
            startsecs: random.small(4),
            startretries: random.small(5),
            stopsignal: random.pick(&["TERM", "TERM", "HUP", "KILL", "INT:3,TERM", "QUIT:1,INT:2,HUP:1"]).to_owned(),
            stopwaitsecs: random.small(6),
            stopasgroup: random.chance(70),
            killasgroup: random.chance(70),
            group: random.pick(&[None, Some("red".to_owned()), Some("blue".to_owned())]),
            exit_on: match random.below(100) {
                0 => ExitOn::Exit,
                1 => ExitOn::Failure,
                2 => ExitOn::Fatal,
                _ => ExitOn::Never,
            },
            hooks,
            ..ProgramConfig::new(name, "sleep 1000")
        };
        if random.chance(20) {
            let all =
                ["path:/dev/there", "unix:/run/there", "command:test -e there", "link:there", "route", "flag:there"];
            program.start_when =
                (0..=random.below(2)).filter_map(|_| StartCondition::parse(random.pick(&all))).collect();
            program.start_when.dedup();
            program.start_when_timeout = random.small(30);
        }
        if random.chance(30) {
            let policy = &mut *program.restart;
            policy.delay = 1 + random.small(3);
            policy.delay_max = policy.delay + random.small(9);
            policy.delay_growth = random.pick(&[DelayGrowth::None, DelayGrowth::Linear, DelayGrowth::Double]);
            policy.jitter = random.pick(&[Share::default(), Share::new(0.5).expect("a share")]);
            let limit = RestartLimit { restarts: random.small(4), seconds: 1 + random.small(60) };
            policy.limit = random.chance(50).then_some(limit);
            policy.never_after = random.pick(&[Vec::new(), vec![EndedBy::Code(1)], vec![EndedBy::Signal(11)]]);
            policy.fatal_retry = random.pick(&[0, 1, 5]);
            policy.max_lifetime = if random.chance(30) { 1 + random.small(60) } else { 0 };
        }
        if random.chance(10) {
            program.restart.on_change = vec![ChangePath::Command];
        }
        if random.chance(20) {
            let all = ["silence:2", "silence:9 -> unhealthy", "silence:4 -> signal:WINCH", "pattern:lost"];
            let rules = (0..=random.below(2)).map(|_| OutputRule::parse(random.pick(&all)).expect("a rule"));
            program.restart.output_watch = rules.collect();
        }
        if random.chance(40) {
            if random.chance(30) {
                program.ready = Readiness::Health;
            }
            let check = &mut program.healthcheck;
            check.check_type = random.pick(&[HealthCheckType::Tcp, HealthCheckType::Script]);
            check.command = Some("test -e well".to_owned());
            check.interval = 1 + random.small(5);
            check.timeout = 1 + random.small(3);
            check.retries = 1 + random.small(3);
            check.start_period = random.small(4);
        }
        program
    }
}
