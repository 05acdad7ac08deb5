//! What is drawn at random: settings, lives, failures, answers and commands.

use super::super::subject::models::{
    AutoRestart, Endpoint, HealthAction, HealthCheckConfig, HealthCheckType, ProgramConfig, ProgramType, Readiness,
};
use super::super::subject::{Event, Exit, Initiator, OutputFault, ReadyReport, SpawnError, SpawnStage};
use super::Millis;
use super::random::Random;
use super::system::{Life, Task};

const ENOENT: i32 = 2;
const EAGAIN: i32 = 11;
const EACCES: i32 = 13;

/// How often things go wrong for a while: in the program, in its surroundings, and by its operator.
#[derive(Debug)]
pub struct FaultProfile {
    /// Spawns that fail for a reason that may pass, in 100.
    spawn_failures: u64,
    /// Runs that end within a moment, in 100.
    crashes: u64,
    /// Runs that never end by themselves, in 100.
    endless: u64,
    /// Failing health checks in 100.
    unhealthy: u64,
    /// Health checks that answer late or never, in 100.
    unanswered: u64,
    pub commands_per_1000: u64,
}

impl FaultProfile {
    pub fn draw(random: &mut Random) -> Self {
        FaultProfile {
            spawn_failures: random.pick(&[0, 0, 0, 10, 60, 100]),
            crashes: random.pick(&[0, 10, 50, 100]),
            endless: random.pick(&[10, 50, 100]),
            unhealthy: random.pick(&[0, 20, 70, 100]),
            unanswered: random.pick(&[0, 10, 50]),
            commands_per_1000: random.pick(&[0, 5, 20, 200]),
        }
    }
}

pub fn config(random: &mut Random) -> ProgramConfig {
    // By its name its first check is not staggered: the row of its checks begins where the auditor expects it.
    let mut config = ProgramConfig::new("tbox", "/bin/subject");
    config.program_type = random.pick(&[ProgramType::Simple, ProgramType::Simple, ProgramType::Oneshot]);
    config.ready = random.pick(&[
        Readiness::Startsecs,
        Readiness::Startsecs,
        Readiness::Startsecs,
        Readiness::Fd(3),
        Readiness::Accepts(Box::new(Endpoint::Unix("/run/socket".to_owned()))),
        Readiness::Command("test -e ready".to_owned()),
    ]);
    config.start_timeout = random.pick(&[0, 1, 3, 60]);
    config.autorestart = random.pick(&[AutoRestart::Never, AutoRestart::Unexpected, AutoRestart::Always]);
    config.exitcodes = random.pick(&[vec![0], vec![0, 3], vec![]]);
    config.startsecs = random.pick(&[0, 0, 1, 1, 2, 5]);
    config.startretries = random.pick(&[0, 1, 3, 3, 5, 35]);
    config.stopsignal = random
        .pick(&["TERM", "SIGINT", "KILL", "rtmin+1", "nonsense", "QUIT:2,TERM", "HUP:1,INT:3,rtmin+1:1"])
        .to_owned();
    config.stopwaitsecs = random.pick(&[0, 1, 3, 10]);
    config.ignores_early_exits = random.chance(1, 3);
    config.stopasgroup = random.chance(1, 2);
    config.killasgroup = random.chance(2, 3);
    if random.chance(1, 50) {
        config.startsecs = u32::MAX;
    }
    if random.chance(1, 50) {
        config.stopwaitsecs = u32::MAX;
    }
    config.healthcheck = HealthCheckConfig {
        check_type: random.pick(&[HealthCheckType::None, HealthCheckType::Tcp, HealthCheckType::Script]),
        interval: random.pick(&[1, 2, 7, 30]),
        timeout: random.pick(&[1, 3, 10]),
        retries: random.pick(&[1, 2, 3]),
        start_period: random.pick(&[0, 1, 10]),
        action: random.pick(&[
            HealthAction::Restart,
            HealthAction::Restart,
            HealthAction::None,
            HealthAction::Signal("USR1".to_owned()),
            HealthAction::Command("true".to_owned()),
        ]),
        ..HealthCheckConfig::default()
    }
    .into();
    if config.healthcheck.check_type != HealthCheckType::None && random.chance(1, 4) {
        config.ready = Readiness::Health;
    }
    if random.chance(1, 50) {
        config.healthcheck.start_period = u32::MAX;
    }
    config
}

pub fn spawn_error(random: &mut Random, profile: &FaultProfile) -> Option<SpawnError> {
    if random.chance(1, 100) {
        return Some(SpawnError::system(SpawnStage::Exec, "/bin/subject", EACCES));
    }
    let fails = random.chance(profile.spawn_failures, 100);
    fails.then(|| match random.chance(1, 2) {
        true => SpawnError::system(SpawnStage::Fork, "", EAGAIN),
        false => SpawnError::system(SpawnStage::Exec, "/bin/subject", ENOENT),
    })
}

pub fn life(random: &mut Random, profile: &FaultProfile, startsecs: u32) -> Life {
    let leader = task(random, profile, startsecs);
    let mut members = Vec::new();
    if random.chance(1, 4) {
        for _ in 0..=random.below(2) {
            members.push(task(random, profile, startsecs));
        }
    }
    Life { leader, members }
}

fn task(random: &mut Random, profile: &FaultProfile, startsecs: u32) -> Task {
    let startsecs = Millis::from(startsecs.min(60)) * 1_000;
    let lives = if random.chance(profile.crashes, 100) {
        Some(random.pick(&[0, 1, 200, 999, 1_000, startsecs.saturating_sub(1)]))
    } else if random.chance(profile.endless, 100) {
        None
    } else {
        let longer = random.pick(&[0, 1, 2_000, 60_000]);
        Some(startsecs + random.below(longer + 1) + random.below(3_000))
    };
    Task {
        lives,
        exit: random.pick(&[Exit::Code(0), Exit::Code(1), Exit::Code(3), Exit::Signal(11)]),
        stops_in: random.pick(&[Some(0), Some(1), Some(300), Some(4_000), None]),
        hangs: random.pick(&[0, 0, 0, 0, 2, 20_000]),
        slips: random.pick(&[0, 0, 0, 1]),
    }
}

/// When a program tells of its readiness, and what; `None`: never.
pub fn sign(random: &mut Random, profile: &FaultProfile) -> Option<(Millis, ReadyReport)> {
    let delay = random.pick(&[0, 1, 300, 1_000, 2_999, 3_000, 20_000]);
    match random.chance(profile.unanswered, 100) {
        true => random.chance(1, 2).then_some((delay, ReadyReport::Never)),
        false => Some((delay, ReadyReport::Ready)),
    }
}

/// When a health check answers, and what; `None`: never.
pub fn answer(random: &mut Random, profile: &FaultProfile, config: &HealthCheckConfig) -> Option<(Millis, bool)> {
    let healthy = !random.chance(profile.unhealthy, 100);
    if !random.chance(profile.unanswered, 100) {
        return Some((random.pick(&[0, 1, 400]), healthy));
    }
    let limit = Millis::from(config.timeout + config.interval) * 1_000;
    match random.below(4) {
        0 => None,
        1 => Some((limit + 5_000 + random.below(2) * 500, healthy)),
        _ => Some((random.below(limit + 1), healthy)),
    }
}

pub fn command(random: &mut Random, idle: bool) -> Event {
    match random.below(if idle { 14 } else { 10 }) {
        0..3 => Event::StopRequested { by: Initiator::Shutdown },
        3..5 => Event::RestartRequested { force: false, by: Initiator::Rollback },
        5 => Event::RestartRequested { force: true, by: Initiator::Rollback },
        6 => Event::KillRequested { by: Initiator::Signal { signal: 15 } },
        _ => Event::StartRequested { by: Initiator::Embedder },
    }
}

/// An answer that belongs to another run.
pub fn ghost(random: &mut Random, generation: u64) -> Event {
    match random.below(9) {
        8 => Event::OutputResumed { generation },
        7 => Event::OutputWatched {
            generation,
            fault: OutputFault::Silence { seconds: 5 }.into(),
            is_restart: random.chance(1, 2),
        },
        6 => Event::ReadyReported { generation, report: random.pick(&[ReadyReport::Ready, ReadyReport::Never]) },
        0 => Event::Spawned { generation, pid: 1 },
        1 => Event::SpawnFailed { generation, error: SpawnError::system(SpawnStage::Exec, "", EACCES) },
        2 => Event::Exited { generation, exit: Exit::Code(1), descendant: None },
        3 => Event::GroupEmpty { generation },
        4 => Event::GroupLingers { generation },
        _ if random.chance(1, 4) => {
            Event::Probed { generation, ready: random.chance(1, 2), message: "stale".to_owned() }
        }
        _ => Event::HealthReported { generation, healthy: random.chance(1, 2), message: "stale".to_owned() },
    }
}
