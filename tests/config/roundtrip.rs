//! A configuration that is written as JSON is the same when it is read again, whatever its fields hold.

use proptest::prelude::*;
use supervice::models::{
    AutoRestart, DefaultOutput, Dependency, DependencyCondition, DependencyTarget, Dialect, ExitCode, ExitOn,
    HealthCheckConfig, HealthCheckType, LogFormat, LogSync, ProgramConfig, ProgramType, Readiness, Reconcile,
    SupervisorConfig,
};

/// Arbitrary values, drawn one after the other.
struct Draw(u64);

impl Draw {
    fn number(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.number() % of.len() as u64) as usize]
    }

    fn boolean(&mut self) -> bool {
        self.pick(&[false, true])
    }

    fn u32(&mut self) -> u32 {
        let number = self.number() as u32;
        self.pick(&[0, 1, number, u32::MAX])
    }

    fn u64(&mut self) -> u64 {
        let number = self.number();
        self.pick(&[0, 1, number, u64::MAX])
    }

    fn text(&mut self) -> String {
        let length = self.number() % 6;
        (0..length).map(|_| self.pick(&['a', '0', ' ', '"', '\\', '\n', '\u{7f}', 'é', '💡', '%', ':'])).collect()
    }

    fn option<T>(&mut self, draw: fn(&mut Draw) -> T) -> Option<T> {
        self.boolean().then(|| draw(self))
    }

    fn list<T, C: FromIterator<T>>(&mut self, draw: fn(&mut Draw) -> T) -> C {
        let length = self.number() % 4;
        (0..length).map(|_| draw(self)).collect()
    }

    fn readiness(&mut self) -> Readiness {
        match self.number() % 4 {
            0 => Readiness::Startsecs,
            3 => Readiness::Health,
            1 => Readiness::Fd(self.pick(&[3, 10, 1023])),
            _ => Readiness::FdVariable("READY_FD".to_owned()),
        }
    }

    fn exit_code(&mut self) -> ExitCode {
        let code = self.number() as u8;
        self.pick(&[ExitCode::Program, ExitCode::Fixed(0), ExitCode::Fixed(code)])
    }

    fn health_check(&mut self) -> HealthCheckConfig {
        HealthCheckConfig {
            check_type: self.pick(&[HealthCheckType::None, HealthCheckType::Tcp, HealthCheckType::Script]),
            interval: self.u32(),
            timeout: self.u32(),
            retries: self.u32(),
            start_period: self.u32(),
            port: self.option(|draw| draw.number() as u16),
            host: self.text(),
            command: self.option(Draw::text),
        }
    }

    /// A name that may be in a file: not empty, no `?` at its end, `:` only before the name of a process.
    fn dependency(&mut self) -> Dependency {
        let name = self.pick(&["db", "web:00", "g:ready", "é 💡", "ready", "a?b"]).to_owned();
        Dependency {
            target: match self.boolean() {
                true => DependencyTarget::Group(name.replace(':', "-")),
                false => DependencyTarget::Program(name),
            },
            condition: self.pick(&DependencyCondition::ALL),
            optional: self.boolean(),
        }
    }

    fn program(&mut self) -> ProgramConfig {
        ProgramConfig {
            name: self.text(),
            command: self.text(),
            program_type: self.pick(&[ProgramType::Simple, ProgramType::Oneshot]),
            numprocs: self.u32(),
            autostart: self.boolean(),
            autorestart: self.pick(&[AutoRestart::Never, AutoRestart::Unexpected, AutoRestart::Always]),
            exitcodes: self.list(|draw| draw.number() as u8),
            exit_on: self.pick(&[ExitOn::Never, ExitOn::Failure, ExitOn::Exit, ExitOn::Fatal]),
            exit_code: self.exit_code(),
            startsecs: self.u32(),
            ready: self.readiness(),
            start_timeout: self.u32(),
            startretries: self.u32(),
            stopsignal: self.text(),
            stopwaitsecs: self.u32(),
            stopasgroup: self.boolean(),
            killasgroup: self.boolean(),
            stdout_logfile: self.option(Draw::text),
            stdout_logfile_maxbytes: self.u64(),
            stdout_logfile_backups: self.u32(),
            stdout_logfile_compress: self.boolean(),
            stdout_syslog: self.boolean(),
            stderr_logfile: self.option(Draw::text),
            stderr_logfile_maxbytes: self.u64(),
            stderr_logfile_backups: self.u32(),
            stderr_logfile_compress: self.boolean(),
            stderr_syslog: self.boolean(),
            log_sync: self.pick(&[LogSync::Never, LogSync::Rotate, LogSync::Line]),
            redirect_stderr: self.boolean(),
            log_buffer: self.u64(),
            environment: self.list(|draw| (draw.text(), draw.text())),
            env_file: self.list(Draw::text),
            directory: self.option(Draw::text),
            user: self.option(Draw::text),
            umask: self.option(Draw::u32),
            group: self.option(Draw::text),
            pdeathsig: self.boolean(),
            requires: self.list(Draw::dependency),
            binds: self.list(Draw::dependency),
            wants: self.list(Draw::dependency),
            after: self.list(Draw::dependency),
            reconcile: self.pick(&[Reconcile::Auto, Reconcile::Kill, Reconcile::Warn, Reconcile::Off]),
            healthcheck: self.health_check(),
            process_name: self.option(Draw::text),
            numprocs_start: self.u32() as i32,
            priority: self.u32() as i32,
            serverurl: self.option(Draw::text),
        }
    }

    fn config(&mut self) -> SupervisorConfig {
        SupervisorConfig {
            logfile: self.option(Draw::text),
            pidfile: self.option(Draw::text),
            loglevel: self.text(),
            socket_path: self.option(Draw::text),
            socket_mode: self.u32(),
            socket_owner: self.option(Draw::text),
            shutdown_timeout: self.u32(),
            exit_when_idle: self.boolean(),
            termination_log: self.option(Draw::text),
            log_maxbytes: self.u64(),
            log_backups: self.u32(),
            default_output: self.pick(&[DefaultOutput::None, DefaultOutput::Console]),
            log_prefix: self.option(Draw::text),
            log_format: self.pick(&[LogFormat::Text, LogFormat::Json]),
            programs: self.list(Draw::program),
            dialect: self.pick(&[Dialect::Supervice, Dialect::Supervisord]),
            nodaemon: self.boolean(),
            silent: self.boolean(),
            user: self.option(Draw::text),
            directory: self.option(Draw::text),
            umask: self.option(Draw::u32),
            minfds: self.u32(),
            minprocs: self.u32(),
            identifier: self.text(),
        }
    }
}

proptest! {
    #[test]
    fn every_configuration_comes_back(seed: u64) {
        let config = Draw(seed).config();
        let text = serde_json::to_string(&config).expect("JSON");
        prop_assert_eq!(&serde_json::from_str::<SupervisorConfig>(&text).expect("read again"), &config);
        // Through a value as well, where the numbers and words are already told apart.
        let value = serde_json::to_value(&config).expect("JSON");
        prop_assert_eq!(serde_json::from_value::<SupervisorConfig>(value).expect("read again"), config);
    }

    #[test]
    fn every_program_and_health_check_comes_back_alone(seed: u64) {
        let program = Draw(seed).program();
        let text = serde_json::to_string(&program).expect("JSON");
        prop_assert_eq!(&serde_json::from_str::<ProgramConfig>(&text).expect("read again"), &program);
        let text = serde_json::to_string(&program.healthcheck).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<HealthCheckConfig>(&text).expect("read again"), program.healthcheck);
    }
}

#[test]
fn what_is_none_of_the_choices_is_refused_with_what_would_be_right() {
    for text in ["1", "\"true\"", "\"\"", "null", "300"] {
        assert!(serde_json::from_str::<AutoRestart>(text).is_err(), "{text}");
    }
    for text in ["true", "256", "-1", "\"never\"", "null"] {
        assert!(serde_json::from_str::<ExitCode>(text).is_err(), "{text}");
    }
    let error = serde_json::from_str::<AutoRestart>("\"maybe\"").expect_err("no choice").to_string();
    assert!(error.contains("maybe") && error.contains("expected true, false or unexpected"), "{error}");
}
