//! A configuration that is written as JSON is the same when it is read again, whatever its fields hold.

use proptest::prelude::*;
use supervice::models::{
    AccessRule, AutoRestart, Capabilities, Catchup, ChangeAction, ChangePath, Confinement, CpuLimit, DefaultOutput,
    DelayGrowth, Dependency, DependencyCondition, DependencyTarget, Dialect, EndedBy, Endpoint, ExitCode, ExitOn,
    FatalAction, FcgiAddress, FcgiSocket, HealthAction, HealthCheckConfig, HealthCheckType, HookCommand, Hooks,
    HttpAddress, HttpConfig, HttpUrl, IoPriority, ListenerEvent, ListenerEvents, LogFormat, LogSync, NetworkCondition,
    NotifyAccess, OutputAction, OutputRule, OutputSign, Overlap, Principal, ProgramConfig, ProgramPattern, ProgramType,
    Rare, Readiness, Reconcile, ResourceLimit, RestartLimit, RestartPolicy, Right, Schedule, ScheduleConfig, Scheduler,
    Share, StartCondition, Statuses, Stdin, StopScope, SupervisorConfig,
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

    fn fcgi(&mut self) -> Rare<FcgiSocket> {
        let address = match self.number() % 3 {
            0 => return Rare::default(),
            1 => FcgiAddress::Unix(format!("/{}", self.text())),
            _ => FcgiAddress::Tcp {
                host: self.pick(&["localhost", "0.0.0.0"]).to_owned(),
                port: self.pick(&[0, u16::MAX]),
            },
        };
        let backlog = self.option(|draw| draw.pick(&[1, u16::MAX]));
        FcgiSocket { address: Some(address), backlog, owner: self.option(Draw::text), mode: self.u32() }.into()
    }

    fn readiness(&mut self) -> Readiness {
        match self.number() % 10 {
            9 => Readiness::Notify,
            0 => Readiness::Startsecs,
            3 => Readiness::Health,
            4 => Readiness::Path(format!("/run/{}", self.text())),
            5 => Readiness::Accepts(Box::new(self.endpoint())),
            6 => Readiness::Http(Box::new(HttpUrl { endpoint: self.endpoint(), target: "/a?b=c".to_owned() })),
            7 => Readiness::Log(format!("^{}", self.text())),
            8 => Readiness::Command(format!("test {}", self.text())),
            1 => Readiness::Fd(self.pick(&[3, 10, 1023])),
            _ => Readiness::FdVariable("READY_FD".to_owned()),
        }
    }

    fn start_condition(&mut self) -> StartCondition {
        match self.number() % 6 {
            0 => StartCondition::Path("/dev/é x".to_owned()),
            1 => StartCondition::Accepts(self.endpoint()),
            2 => StartCondition::Network(NetworkCondition::Link("wlan0.7".to_owned())),
            3 => StartCondition::Network(NetworkCondition::Route),
            4 => StartCondition::Flag("provisioned".to_owned()),
            _ => StartCondition::Command(format!("x{}x", self.text())),
        }
    }

    fn endpoint(&mut self) -> Endpoint {
        let port = self.pick(&[1, 80, 8080, 65535]);
        match self.boolean() {
            true => Endpoint::Unix("/run/x.sock".to_owned()),
            false => {
                Endpoint::Tcp { host: self.pick(&["localhost", "127.0.0.1", "[::1]", "db.example"]).to_owned(), port }
            }
        }
    }

    fn exit_code(&mut self) -> ExitCode {
        let code = self.number() as u8;
        self.pick(&[ExitCode::Program, ExitCode::Fixed(0), ExitCode::Fixed(code)])
    }

    fn health_check(&mut self) -> HealthCheckConfig {
        HealthCheckConfig {
            check_type: self.pick(&[
                HealthCheckType::None,
                HealthCheckType::Tcp,
                HealthCheckType::Unix,
                HealthCheckType::Http,
                HealthCheckType::Script,
            ]),
            interval: self.u32(),
            timeout: self.u32(),
            retries: self.u32(),
            start_period: self.u32(),
            port: self.option(|draw| draw.number() as u16),
            host: self.text(),
            command: self.option(Draw::text),
            path: self.option(Draw::text),
            url: self.option(|draw| HttpUrl { endpoint: draw.endpoint(), target: "/".to_owned() }),
            status: Statuses(vec![(200, 299), (401, 401)]),
            header: self.list(Draw::text),
            action: match self.number() % 4 {
                0 => HealthAction::Restart,
                1 => HealthAction::None,
                2 => HealthAction::Signal("HUP".to_owned()),
                _ => HealthAction::Command(format!("x{}x", self.text())),
            },
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

    /// A line that may be in a file: not empty, and no prefix at its beginning beside its own.
    fn hook_command(&mut self) -> HookCommand {
        let command = self.pick(&["/bin/true", "run 'a b' -x", "é 💡", "a+b-c"]).to_owned();
        HookCommand { command, may_fail: self.boolean(), as_daemon: self.boolean() }
    }

    fn hooks(&mut self) -> Rare<Hooks> {
        let mut hooks = Rare::default();
        if self.boolean() {
            *hooks = Hooks {
                pre_start: self.list(Draw::hook_command),
                post_start: self.list(Draw::hook_command),
                stop_command: self.list(Draw::hook_command),
                post_stop: self.list(Draw::hook_command),
                reload_signal: self.option(Draw::text),
                reload_command: self.list(Draw::hook_command),
                on_state: self.list(Draw::hook_command),
                timeout: self.u32(),
            };
        }
        hooks
    }

    fn program(&mut self) -> ProgramConfig {
        ProgramConfig {
            name: self.text(),
            command: self.text(),
            program_type: self.pick(&[ProgramType::Simple, ProgramType::Oneshot, ProgramType::Forking]),
            pidfile: self.option(Draw::text),
            numprocs: self.u32(),
            autostart: self.boolean(),
            autorestart: self.pick(&[AutoRestart::Never, AutoRestart::Unexpected, AutoRestart::Always]),
            exitcodes: self.list(|draw| draw.number() as u8),
            exit_on: self.pick(&[ExitOn::Never, ExitOn::Failure, ExitOn::Exit, ExitOn::Fatal]),
            exit_code: self.exit_code(),
            startsecs: self.u32(),
            ready: self.readiness(),
            notify_access: self.pick(&[NotifyAccess::Run, NotifyAccess::Main]),
            watchdog: self.u32(),
            watchdog_signal: self.text(),
            start_timeout: self.u32(),
            ready_interval: self.u32(),
            startretries: self.u32(),
            restart: self.restart(),
            schedule: self.schedule(),
            ignores_early_exits: self.boolean(),
            stopsignal: self.text(),
            stopwaitsecs: self.u32(),
            stopasgroup: self.boolean(),
            killasgroup: self.boolean(),
            stop_scope: self.pick(&[StopScope::Run, StopScope::Group]),
            stdout_logfile: self.option(Draw::text),
            stdout_log_off: self.boolean(),
            stdout_logfile_maxbytes: self.u64(),
            stdout_logfile_backups: self.u32(),
            stdout_logfile_compress: self.boolean(),
            stdout_syslog: self.boolean(),
            stderr_logfile: self.option(Draw::text),
            stderr_log_off: self.boolean(),
            stderr_logfile_maxbytes: self.u64(),
            stderr_logfile_backups: self.u32(),
            stderr_logfile_compress: self.boolean(),
            stderr_syslog: self.boolean(),
            log_sync: self.pick(&[LogSync::Never, LogSync::Rotate, LogSync::Line]),
            redirect_stderr: self.boolean(),
            stdin: match self.u32() % 3 {
                0 => Stdin::Null,
                1 => Stdin::Pipe,
                _ => Stdin::File(format!("/{}", self.text())),
            },
            tty: self.boolean(),
            stdout_capture_maxbytes: self.u64(),
            stdout_events_enabled: self.boolean(),
            stderr_capture_maxbytes: self.u64(),
            stderr_events_enabled: self.boolean(),
            events: self.events(),
            buffer_size: self.u32(),
            fcgi: self.fcgi(),
            log_buffer: self.u64(),
            environment: self.list(|draw| (draw.text(), draw.text())),
            env_file: self.list(Draw::text),
            directory: self.option(Draw::text),
            user: self.option(Draw::text),
            umask: self.option(Draw::u32),
            group: self.option(Draw::text),
            confinement: self.confinement(),
            pdeathsig: self.boolean(),
            requires: self.list(Draw::dependency),
            binds: self.list(Draw::dependency),
            wants: self.list(Draw::dependency),
            after: self.list(Draw::dependency),
            start_when: self.list(Draw::start_condition),
            start_when_timeout: self.u32(),
            hooks: self.hooks(),
            reconcile: self.pick(&[Reconcile::Auto, Reconcile::Kill, Reconcile::Warn, Reconcile::Off]),
            healthcheck: self.health_check().into(),
            process_name: self.option(Draw::text),
            numprocs_start: self.u32() as i32,
            group_priority: self.u32() as i32,
            priority: self.u32() as i32,
            serverurl: self.option(Draw::text),
            serverurl_given: self.boolean(),
        }
    }

    fn limit(&mut self) -> Option<ResourceLimit> {
        self.option(|draw| ResourceLimit { soft: draw.u64(), hard: draw.u64() })
    }

    fn restart(&mut self) -> Rare<RestartPolicy> {
        let mut restart = Rare::default();
        if self.boolean() {
            *restart = RestartPolicy {
                delay: self.u32(),
                delay_max: self.u32(),
                delay_growth: self.pick(&[DelayGrowth::None, DelayGrowth::Linear, DelayGrowth::Double]),
                jitter: Share::new((self.number() % 1001) as f64 / 1000.0).expect("a share"),
                limit: self.option(|draw| RestartLimit { restarts: draw.u32(), seconds: draw.u32() }),
                never_after: self.list(|draw| {
                    let number = draw.number() as u8;
                    draw.pick(&[EndedBy::Code(number), EndedBy::Signal(number)])
                }),
                fatal_retry: self.u32(),
                on_fatal: match self.number() % 5 {
                    0 => FatalAction::None,
                    1 => FatalAction::Exit,
                    2 => FatalAction::Reboot,
                    3 => FatalAction::PowerOff,
                    _ => FatalAction::Command(self.hook_command()),
                },
                on_fatal_after: self.u32(),
                max_runtime: self.u32(),
                on_change: self.list(|draw| match draw.boolean() {
                    true => ChangePath::Command,
                    false => ChangePath::Path(format!("/{}", draw.number())),
                }),
                on_change_action: self.pick(&[ChangeAction::Restart, ChangeAction::Reload]),
                output_watch: self.list(Draw::output_rule),
                max_lifetime: self.u32(),
            };
        }
        restart
    }

    fn output_rule(&mut self) -> OutputRule {
        OutputRule {
            sign: match self.boolean() {
                true => OutputSign::Silence(self.u32().max(1)),
                false => OutputSign::Pattern(format!("x{}x", self.text())),
            },
            action: match self.number() % 4 {
                0 => OutputAction::Restart,
                1 => OutputAction::Unhealthy,
                2 => OutputAction::Signal("HUP".to_owned()),
                _ => OutputAction::Command(format!("x{}x", self.text())),
            },
        }
    }

    fn schedule(&mut self) -> Rare<ScheduleConfig> {
        let mut schedule = Rare::default();
        if self.boolean() {
            *schedule = ScheduleConfig {
                // Without the feature nothing is a schedule.
                times: self
                    .list::<Option<Schedule>, Vec<_>>(|draw| {
                        let lines = [
                            "0 3 * * *",
                            "*/10 30 8-18/2 1,15 jan mon-fri",
                            "@daily",
                            "every 90s after end",
                            "@reboot",
                        ];
                        draw.pick(&lines).parse().ok()
                    })
                    .into_iter()
                    .flatten()
                    .collect(),
                timezone: self.option(Draw::text),
                overlap: self.pick(&[Overlap::Skip, Overlap::Queue, Overlap::Restart]),
                jitter: self.u32(),
                catchup: self.pick(&[Catchup::Never, Catchup::Once]),
            };
        }
        schedule
    }

    fn confinement(&mut self) -> Rare<Confinement> {
        let mut confinement = Rare::default();
        if self.boolean() {
            *confinement = Confinement {
                rlimit_nofile: self.limit(),
                rlimit_nproc: self.limit(),
                rlimit_core: self.limit(),
                rlimit_as: self.limit(),
                rlimit_data: self.limit(),
                rlimit_stack: self.limit(),
                rlimit_fsize: self.limit(),
                rlimit_memlock: self.limit(),
                rlimit_cpu: self.limit(),
                rlimit_rtprio: self.limit(),
                rlimit_nice: self.limit(),
                rlimit_sigpending: self.limit(),
                rlimit_msgqueue: self.limit(),
                nice: self.option(|draw| draw.u32() as i8),
                ionice: self.option(|draw| {
                    let level = (draw.u32() % 8) as u8;
                    draw.pick(&[IoPriority::Idle, IoPriority::BestEffort(level), IoPriority::Realtime(level)])
                }),
                cpu_affinity: self.list(|draw| draw.u32() as u16),
                scheduler: self.option(|draw| {
                    let priority = (draw.u32() % 99) as u8 + 1;
                    draw.pick(&[
                        Scheduler::Other,
                        Scheduler::Batch,
                        Scheduler::Idle,
                        Scheduler::Fifo(priority),
                        Scheduler::RoundRobin(priority),
                    ])
                }),
                oom_score_adj: self.option(|draw| draw.u32() as i16),
                no_new_privs: self.boolean(),
                capabilities: self.option(|draw| {
                    let mut all = Capabilities::default();
                    assert!(all.insert("kill"));
                    if draw.boolean() {
                        assert!(all.insert("CAP_CHECKPOINT_RESTORE"));
                    }
                    all
                }),
                groups: self.option(|draw| draw.list(Draw::text)),
                group: self.option(Draw::text),
                chroot: self.option(Draw::text),
                max_rss: self.option(Draw::u64),
                max_cpu: self.option(|draw| CpuLimit { percent: draw.u32(), seconds: draw.u32() }),
                usage_interval: self.u32(),
            };
        }
        confinement
    }

    fn http(&mut self) -> HttpConfig {
        let listen = self.pick(&["127.0.0.1:9001", "[::1]:1", "*:65535", "unix:/x y", "board.local:80"]);
        HttpConfig {
            name: self.text(),
            listen: HttpAddress::parse(listen).expect("an address"),
            mode: self.u32(),
            owner: self.option(Draw::text),
            username: self.option(Draw::text),
            password: self.option(Draw::text),
            users_file: self.option(Draw::text),
            hosts: self.list(Draw::text),
            insecure: self.boolean(),
            open_probes: self.option(Draw::boolean),
        }
    }

    fn access(&mut self) -> AccessRule {
        let rights = Right::ALL.into_iter().filter(|_| self.boolean()).collect::<Vec<Right>>();
        let who = match self.u32() % 3 {
            0 => Principal::User { name: self.text(), uid: self.u32() },
            1 => Principal::Group { name: self.text(), gid: self.u32() },
            _ => Principal::Http { name: self.text() },
        };
        let programs =
            if self.boolean() { ProgramPattern::Name(self.text()) } else { ProgramPattern::Group(self.text()) };
        AccessRule { name: self.text(), who: vec![who], allow: rights.into_iter().collect(), programs: vec![programs] }
    }

    fn events(&mut self) -> ListenerEvents {
        let mut events = ListenerEvents::NONE;
        for kind in ListenerEvent::ALL {
            if self.boolean() {
                events.add(kind.as_str());
            }
        }
        events
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
            start_limit: self.u32(),
            exit_when_idle: self.boolean(),
            termination_log: self.option(Draw::text),
            state_dir: self.option(Draw::text),
            log_maxbytes: self.u64(),
            log_backups: self.u32(),
            default_output: self.pick(&[DefaultOutput::None, DefaultOutput::Console]),
            log_prefix: self.option(Draw::text),
            log_format: self.pick(&[LogFormat::Text, LogFormat::Json]),
            strip_ansi: self.boolean(),
            http: self.list(Draw::http),
            access: self.list(Draw::access),
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
            oom_score_adj: self.option(|draw| draw.u32() as i16),
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
        prop_assert_eq!(serde_json::from_str::<HealthCheckConfig>(&text).expect("read again"), (*program.healthcheck).clone());
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
