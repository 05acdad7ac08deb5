//! What is drawn at random: settings, runs and hooks.

use super::{Millis, Run, Task};
use crate::harness::random::Random;
use crate::subject::models::{AutoRestart, HookCommand, ProgramConfig, ProgramType, Readiness};
use crate::subject::{Exit, Generation, TaskEnd};

fn commands(random: &mut Random) -> Vec<HookCommand> {
    let command = HookCommand { command: "command".to_owned(), may_fail: false, as_daemon: false };
    if random.chance(1, 2) { vec![command] } else { Vec::new() }
}

pub fn config(random: &mut Random) -> ProgramConfig {
    let mut config = ProgramConfig::new("subject", "/bin/subject");
    config.program_type = random.pick(&[ProgramType::Simple, ProgramType::Simple, ProgramType::Forking]);
    config.pidfile = Some("/run/subject.pid".to_owned());
    config.ready = random.pick(&[Readiness::Startsecs, Readiness::Notify]);
    config.start_timeout = random.pick(&[0, 1, 3, 60]);
    config.autorestart = random.pick(&[AutoRestart::Never, AutoRestart::Unexpected, AutoRestart::Always]);
    config.startsecs = random.pick(&[0, 1, 2]);
    config.startretries = random.pick(&[0, 1, 3, 35]);
    config.stopwaitsecs = random.pick(&[0, 1, 3, 10]);
    config.stopasgroup = random.chance(1, 2);
    config.killasgroup = random.chance(2, 3);
    config.watchdog = random.pick(&[0, 0, 1, 2, 5]);
    if random.chance(3, 4) {
        config.hooks.pre_start = commands(random);
        config.hooks.post_start = commands(random);
        config.hooks.stop_command = commands(random);
        config.hooks.post_stop = commands(random);
    }
    config
}

/// What the program does that was just spawned as this process.
pub fn run(random: &mut Random, config: &ProgramConfig, (generation, pid): (Generation, i32), now: Millis) -> Run {
    let mut task = |pid: i32| {
        let lives = random.pick(&[Some(0), Some(700), Some(1_000), Some(5_000), Some(40_000), None, None, None]);
        Task {
            pid,
            ends_at: lives.map(|lives| now + lives),
            exit: random.pick(&[Exit::Code(0), Exit::Code(1), Exit::Signal(11)]),
            is_deaf: random.chance(1, 6),
        }
    };
    let (mut leader, behind, beside) = (task(pid), task(pid + 1), task(pid + 2));
    let forks = config.program_type == ProgramType::Forking && random.chance(5, 6);
    if forks {
        (leader.ends_at, leader.exit) = (Some(now + random.pick(&[0, 1, 200, 1_500])), Exit::Code(0));
    }
    let named_at = now + random.pick(&[0, 1, 200, 1_500, 4_000]);
    let every = Millis::from(config.watchdog) * random.pick(&[300, 700, 900, 1_300]);
    Run {
        generation,
        leader: Some(leader),
        background: forks.then_some((behind, named_at)),
        helper: random.chance(1, 4).then_some(beside),
        beat: (config.watchdog > 0).then_some((now + every, every)),
    }
}

/// When a hook ends, and how, if it fails.
pub fn hook(random: &mut Random, now: Millis) -> (Millis, Option<TaskEnd>) {
    let ends_at = now + random.pick(&[0, 1, 500, 3_000, 20_000]);
    let failed = TaskEnd::Exited { exit: Exit::Code(1), output: "no".into() };
    (ends_at, random.chance(1, 4).then_some(failed))
}
